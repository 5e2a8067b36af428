"""Message to bytes and back: msgpack inside a signed envelope, verified on the bytes that arrived.

The signature covers cluster, topic, sender, boot, cause and body, so a message can be moved to no other topic, cluster
or boot. `open` says what is wrong in a stable reason word; the caller records it and changes nothing.
"""

import msgspec

from ucmlab.broker.messages import AnyMessage, Envelope
from ucmlab.broker.signing import Signer, Verifier

VERSION = 1

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading raises of bytes that are not what they should be; text that is no UTF-8 is no error of msgspec's."""
_encode = msgspec.msgpack.Encoder().encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_message = msgspec.msgpack.Decoder(AnyMessage).decode


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A message whose signature held."""

    sender: str
    boot: int
    cause: str
    message: AnyMessage


class Refused(Exception):
    """The bytes are not an acceptable message: `malformed`, `version`, `cluster`, `signature` or `sender`."""

    def __init__(self, reason: str, sender: str = "") -> None:
        """Keep the reason word and who the bytes claim to be from."""
        super().__init__(f"bus message refused: {reason}")
        self.reason = reason
        self.sender = sender


Memo = dict[tuple[str, bytes], Opened]


class BusCodec:
    """Seals as one member of one cluster, opens what any member sealed."""

    def __init__(
        self,
        *,
        cluster: str,
        sender: str,
        boot: int,
        signer: Signer,
        verifier: Verifier,
        memo: Memo | None = None,
    ) -> None:
        """Seal as `sender` in its boot number `boot`.

        Args:
            memo: what was opened so far. Opening is a pure function of topic and bytes; the simulation shares one.
        """
        self._cluster = cluster
        self._sender = sender
        self.boot = boot
        self._signer = signer
        self._verifier = verifier
        self._memo = memo
        self._heads: dict[str, bytes] = {}
        """What comes before the cause in what is signed, by topic: members publish on few."""

    def seal(self, topic: str, message: AnyMessage, cause: str = "") -> bytes:
        """Return the payload to publish on `topic`."""
        body = _encode(message)
        head = self._heads.get(topic)
        if head is None:
            head = self._heads[topic] = signed_head(self._cluster, topic, self._sender, self.boot)
        signature = self._signer.sign(b"%b\0%b\0%b" % (head, cause.encode(), body))
        envelope = Envelope(VERSION, self._cluster, self._sender, self.boot, cause, body, signature)
        payload = _encode(envelope)
        if self._memo is not None:
            self._memo[topic, payload] = Opened(self._sender, self.boot, cause, message)
        return payload

    def open(self, topic: str, payload: bytes) -> Opened:
        """Verify and decode.

        Raises:
            Refused: the payload is malformed, of another version or cluster, or not signed by whom it names.
        """
        if self._memo is not None:
            known = self._memo.get((topic, payload))
            if known is not None:
                return known
        opened = self._verified(topic, payload)
        if self._memo is not None:
            self._memo[topic, payload] = opened
        return opened

    def _verified(self, topic: str, payload: bytes) -> Opened:
        try:
            envelope = _decode_envelope(payload)
        except UNREADABLE as error:
            raise Refused("malformed") from error
        if "\0" in envelope.cause:
            raise Refused("malformed", envelope.sender)  # it separates the fields that are signed
        if envelope.version != VERSION:
            raise Refused("version", envelope.sender)
        if envelope.cluster != self._cluster:
            raise Refused("cluster", envelope.sender)
        data = signed_bytes(envelope.cluster, topic, envelope.sender, envelope.boot, envelope.cause, envelope.body)
        if not self._verifier.verify(envelope.sender, data, envelope.signature):
            raise Refused("signature", envelope.sender)
        try:
            message = _decode_message(envelope.body)
        except UNREADABLE as error:
            raise Refused("malformed", envelope.sender) from error
        return Opened(envelope.sender, envelope.boot, envelope.cause, message)


def signed_bytes(cluster: str, topic: str, sender: str, boot: int, cause: str, body: bytes) -> bytes:
    """What the signature covers; NUL separates fields that cannot hold one, the body comes last."""
    return b"%b\0%b\0%b" % (signed_head(cluster, topic, sender, boot), cause.encode(), body)


def signed_head(cluster: str, topic: str, sender: str, boot: int) -> bytes:
    """The part of what is signed that many messages have in common."""
    return b"ucmlab-bus-1\0%b\0%b\0%b\0%d" % (cluster.encode(), topic.encode(), sender.encode(), boot)
