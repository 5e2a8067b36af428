"""Syslog messages as they go over the wire: RFC 5424, and their frames on a TCP connection (RFC 6587, octet counting).

What must live here: how a message is written and read. What this file must not know: which alarm it tells, or sockets.
"""

import re
from typing import Literal

import msgspec

from ucmlab.node.instant import from_rfc3339, rfc3339

LOCAL7 = 23
"""The facility of the product's alarms. [ASSUMED]"""
LONGEST = 2048
"""Octets that every receiver should take (RFC 5424, 6.1); what is longer is cut."""
LONGEST_LENGTH = 5
"""Digits of the length of a frame: more is no length."""
_NO_WORD = re.compile("[^!-~]")
_BOM = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) -(?: (.*))?", re.DOTALL)
Severity = Literal[0, 1, 2, 3, 4, 5, 6, 7]


class Unreadable(Exception):
    """What came is no syslog message, or no frame."""


class SyslogMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message, without structured data: the product's go into the text."""

    severity: Severity
    wall: int
    """When it was made, by its maker's clock: wall microseconds."""
    host: str
    application: str
    message_id: str
    text: str
    facility: int = LOCAL7

    def write(self) -> bytes:
        """As it goes into a datagram or a frame; never longer than `LONGEST`."""
        words = (rfc3339(self.wall), _word(self.host, 255), _word(self.application, 48), "-")
        priority = self.facility * 8 + self.severity
        head = f"<{priority}>1 {' '.join(words)} {_word(self.message_id, 32)} - ".encode()
        text = self.text
        if not text.isprintable():
            text = "".join(each if each.isprintable() else "?" for each in text)
        body = text.encode() if text.isascii() else _BOM + text.encode()
        # Cut between two characters: what is left of one that was cut in two goes as well.
        return head + body[: LONGEST - len(head)].decode(errors="ignore").encode()


def read_message(octets: bytes) -> SyslogMessage:
    """Read one message.

    Raises:
        Unreadable: it is none, or has structured data, which nobody here sends.
    """
    found = _HEADER.fullmatch(octets)
    if found is None:
        raise Unreadable("no RFC 5424 message")
    priority, moment, host, application, _, message_id, body = found.groups()
    try:
        facility, severity = divmod(int(priority), 8)
        return SyslogMessage(
            facility=facility,
            severity=msgspec.convert(severity, Severity),
            wall=from_rfc3339(moment.decode()),
            host=host.decode(),
            application=application.decode(),
            message_id=message_id.decode(),
            text=(body or b"").removeprefix(_BOM).decode(),
        )
    except ValueError as error:
        raise Unreadable(str(error)) from error


def framed(octets: bytes) -> bytes:
    """A message as it goes over a TCP connection: its length, a blank, itself."""
    return b"%d %b" % (len(octets), octets)


class FrameReader:
    """Takes what a connection brings and makes it messages again."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self._rest = b""

    def read(self, octets: bytes) -> list[bytes]:
        """The frames that are whole now.

        Raises:
            Unreadable: there is no length where one must be; nothing after it can be told apart any more.
        """
        self._rest += octets
        frames: list[bytes] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> bytes | None:
        length, blank, rest = self._rest[: LONGEST_LENGTH + 1].partition(b" ")
        if length and not length.isdigit():
            raise Unreadable("no length of a frame")
        if not blank:
            if len(length) > LONGEST_LENGTH:
                raise Unreadable("no length of a frame")
            return None
        if not length:
            raise Unreadable("no length of a frame")
        del rest
        start = len(length) + 1
        end = start + int(length)
        if len(self._rest) < end:
            return None
        frame, self._rest = self._rest[start:end], self._rest[end:]
        return frame


def _word(text: str, longest: int) -> str:
    """A field of the header: visible ASCII without blanks."""
    return _NO_WORD.sub("_", text)[:longest] or "-"
