"""Syslog as it goes over the wire: RFC 5424 messages, and frames of RFC 6587."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucmlab.node.instant import from_rfc3339
from ucmlab.node.syslog import LONGEST, FrameReader, SyslogMessage, Unreadable, framed, read_message

WALL = from_rfc3339("2026-01-05T08:00:00Z")
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=32)


def message(text: str = "something", *, application: str = "App", message_id: str = "Expired") -> SyslogMessage:
    return SyslogMessage(
        severity=0, wall=WALL, host="sub1.lab.test", application=application, message_id=message_id, text=text
    )


def test_a_message_is_what_the_rfc_says() -> None:
    assert message("is over").write() == b"<184>1 2026-01-05T08:00:00Z sub1.lab.test App - Expired - is over"


def test_a_blank_in_a_word_and_a_line_break_in_a_text_go_no_further() -> None:
    wrote = message("two\nlines\x00", application="Cisco Certificate Monitor").write()
    assert wrote == b"<184>1 2026-01-05T08:00:00Z sub1.lab.test Cisco_Certificate_Monitor - Expired - two?lines?"
    assert message(application="", message_id="").write().split(b" ")[3:6] == [b"-", b"-", b"-"]


def test_what_is_not_ascii_says_so() -> None:
    assert message("Käse").write().endswith(b" - \xef\xbb\xbfK\xc3\xa4se")
    assert read_message(message("Käse").write()).text == "Käse"


def test_what_is_too_long_is_cut_between_two_characters() -> None:
    for letter in "aä€😀":
        wrote = message(letter * 3000).write()
        assert LONGEST - 4 < len(wrote) <= LONGEST
        assert set(read_message(wrote).text) == {letter}


@given(
    st.integers(0, 7),
    st.integers(0, 23),
    WORDS,
    WORDS,
    WORDS,
    st.text(st.characters(exclude_categories=("C", "Z")), max_size=200),
)
def test_what_is_written_is_read_again(
    severity: int, facility: int, host: str, application: str, message_id: str, text: str
) -> None:
    wrote = SyslogMessage(
        severity=severity,  # type: ignore[arg-type]  # one of the eight
        facility=facility,
        wall=WALL + 5,
        host=host,
        application=application,
        message_id=message_id,
        text=text.removeprefix("\ufeff"),
    )
    assert read_message(wrote.write()) == wrote


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<34>Oct 11 22:14:15 host su: the old form",
        b"<184>1 yesterday host app - id - text",
        b"<184>1 2026-01-05T08:00:00 host app - id - no zone",
        b"<999>1 2026-01-05T08:00:00Z host app - id - text",
        b'<184>1 2026-01-05T08:00:00Z host app - id [a b="c"] text',
        b"<184>1 2026-01-05T08:00:00Z h\xff app - id - text",
    ],
)
def test_what_is_none_is_not_read(octets: bytes) -> None:
    if octets.startswith(b"<999>"):
        assert read_message(octets).facility == 124
        return
    with pytest.raises(Unreadable):
        read_message(octets)


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 50))
def test_frames_come_apart_however_they_arrive(messages: list[bytes], size: int) -> None:
    stream, reader, read = b"".join(map(framed, messages)), FrameReader(), list[bytes]()
    for at in range(0, len(stream), size):
        read += reader.read(stream[at : at + size])
    assert read == messages


@pytest.mark.parametrize("octets", [b"<34>1 no frames", b" 3 abc", b"1234567", b"x"])
def test_what_has_no_length_is_no_frame(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        FrameReader().read(octets)
