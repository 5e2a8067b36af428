"""The codec: byte vectors by hand, round trips, and what is no MQTT."""

from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.broker.vectors import VECTORS
from ucmlab.broker.mqtt_codec import Decoder, MalformedPacket, encode, encoded_size
from ucmlab.broker.packets import (
    REASONS,
    V5,
    V311,
    AckProperties,
    Auth,
    AuthProperties,
    ConnAck,
    ConnAckProperties,
    Connect,
    ConnectProperties,
    Disconnect,
    DisconnectProperties,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PublishProperties,
    PubRec,
    PubRel,
    Reason,
    SubAck,
    Subscribe,
    SubscribeProperties,
    Subscription,
    UnsubAck,
    Unsubscribe,
    UnsubscribeProperties,
    Will,
    WillProperties,
)


def decoder_for(packet: Packet, version: int, max_packet_size: int = 1 << 20) -> Decoder:
    return Decoder(None if isinstance(packet, Connect) else version, max_packet_size)


@pytest.mark.parametrize(("version", "packet", "text"), VECTORS)
def test_a_packet_has_the_bytes_of_the_standard(version: int, packet: Packet, text: str) -> None:
    raw = bytes.fromhex(text)

    assert encode(packet, version) == raw
    assert decoder_for(packet, version).feed(raw) == [packet]


@pytest.mark.parametrize(("version", "packet", "text"), VECTORS)
def test_a_packet_may_arrive_byte_by_byte(version: int, packet: Packet, text: str) -> None:
    decoder = decoder_for(packet, version)

    arrived = [packet for byte in bytes.fromhex(text) for packet in decoder.feed(bytes([byte]))]

    assert arrived == [packet]


@pytest.mark.parametrize(("version", "packet", "text"), VECTORS)
def test_a_body_cut_short_is_malformed_or_another_packet_and_nothing_else(
    version: int, packet: Packet, text: str
) -> None:
    raw = bytes.fromhex(text)
    for size in range(len(raw) - 2):
        try:
            cut = decoder_for(packet, version).feed(bytes([raw[0], size]) + raw[2 : 2 + size])
        except MalformedPacket:
            continue
        assert cut != [packet]


def test_the_version_of_a_stream_is_that_of_its_connect() -> None:
    decoder = Decoder()

    packets = decoder.feed(encode(Connect("a", V5), V5) + encode(Publish("t", b"x"), V5) + b"\xc0")

    assert packets == [Connect("a", V5), Publish("t", b"x")]
    assert decoder.version == V5
    assert decoder.feed(b"\x00\xe0\x00") == [PingReq(), Disconnect()]


MALFORMED: list[tuple[str, int | None, str, int]] = [
    ("no connect first", None, "c000", Reason.PROTOCOL_ERROR),
    ("packet type 0", V311, "0000", Reason.MALFORMED_PACKET),
    ("auth in 3.1.1", V311, "f000", Reason.MALFORMED_PACKET),
    ("flags of pingreq", V311, "c100", Reason.MALFORMED_PACKET),
    ("flags of subscribe", V311, "80 06 0001 0001 61 00", Reason.MALFORMED_PACKET),
    ("pingreq with body", V311, "c0 01 00", Reason.MALFORMED_PACKET),
    ("remaining length of five bytes", V311, "30 ff ff ff ff 01", Reason.MALFORMED_PACKET),
    ("qos 3", V311, "36 05 0001 61 0001", Reason.MALFORMED_PACKET),
    ("dup at qos 0", V311, "38 03 0001 61", Reason.MALFORMED_PACKET),
    ("packet id 0", V311, "32 05 0001 61 0000", Reason.MALFORMED_PACKET),
    ("puback id 0", V311, "40 02 0000", Reason.PROTOCOL_ERROR),
    ("topic past the end", V311, "30 03 0005 61", Reason.MALFORMED_PACKET),
    ("no topic at all", V311, "30 00", Reason.MALFORMED_PACKET),
    ("no packet id", V311, "32 03 0001 61", Reason.MALFORMED_PACKET),
    ("topic not utf-8", V311, "30 03 0001 ff", Reason.MALFORMED_PACKET),
    ("topic with a surrogate", V311, "30 05 0003 eda080", Reason.MALFORMED_PACKET),
    ("topic with null", V311, "30 03 0001 00", Reason.MALFORMED_PACKET),
    ("no properties", V5, "30 03 0001 61", Reason.MALFORMED_PACKET),
    ("properties past the end", V5, "30 04 0001 61 09", Reason.MALFORMED_PACKET),
    ("unknown property", V5, "30 06 0001 61 02 7f00", Reason.MALFORMED_PACKET),
    ("property of another packet", V5, "30 09 0001 61 05 1100000001", Reason.MALFORMED_PACKET),
    ("property twice", V5, "30 08 0001 61 04 0101 0101", Reason.PROTOCOL_ERROR),
    ("flag property 2", V5, "30 06 0001 61 02 0102", Reason.PROTOCOL_ERROR),
    ("property cut short", V5, "30 07 0001 61 02 02 00 00", Reason.MALFORMED_PACKET),
    ("subscription identifier 0", V5, "30 06 0001 61 02 0b00", Reason.PROTOCOL_ERROR),
    ("no reason of puback", V5, "40 03 0001 92", Reason.PROTOCOL_ERROR),
    ("no reason of pubrel", V5, "62 03 0001 10", Reason.PROTOCOL_ERROR),
    ("no reason of disconnect", V5, "e0 01 01", Reason.PROTOCOL_ERROR),
    ("no reason of auth", V5, "f0 01 80", Reason.PROTOCOL_ERROR),
    ("subscribe to nothing", V311, "82 02 0001", Reason.PROTOCOL_ERROR),
    ("subscribe at qos 3", V311, "82 06 0001 0001 61 03", Reason.MALFORMED_PACKET),
    ("options in 3.1.1", V311, "82 06 0001 0001 61 04", Reason.MALFORMED_PACKET),
    ("retain handling 3", V5, "82 07 0001 00 0001 61 30", Reason.PROTOCOL_ERROR),
    ("unsubscribe from nothing", V5, "a2 03 0001 00", Reason.PROTOCOL_ERROR),
    ("connack flags", V311, "20 02 02 00", Reason.MALFORMED_PACKET),
    ("protocol name", None, "10 0d 0004 4d515455 04 02 003c 0001 61", Reason.UNSUPPORTED_VERSION),
    ("mqtt 3.1", None, "10 0f 0006 4d5149736470 03 02 003c 0001 61", Reason.UNSUPPORTED_VERSION),
    ("level 6", None, "10 0d 0004 4d515454 06 02 003c 0001 61", Reason.UNSUPPORTED_VERSION),
    ("reserved connect flag", None, "10 0d 0004 4d515454 04 03 003c 0001 61", Reason.MALFORMED_PACKET),
    ("will qos without will", None, "10 0d 0004 4d515454 04 0a 003c 0001 61", Reason.MALFORMED_PACKET),
    ("will qos 3", None, "10 0d 0004 4d515454 04 1e 003c 0001 61", Reason.MALFORMED_PACKET),
    ("password without name", None, "10 0d 0004 4d515454 04 42 003c 0001 61", Reason.MALFORMED_PACKET),
    ("left over in connect", None, "10 0e 0004 4d515454 04 02 003c 0001 61 00", Reason.MALFORMED_PACKET),
    ("receive maximum 0", None, "10 10 0004 4d515454 05 02 003c 03 210000 0000", Reason.PROTOCOL_ERROR),
]


@pytest.mark.parametrize(
    ("version", "text", "reason"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
def test_what_is_no_packet_is_refused_with_a_reason(version: int | None, text: str, reason: int) -> None:
    with pytest.raises(MalformedPacket) as caught:
        Decoder(version).feed(bytes.fromhex(text))
    assert caught.value.reason_code == reason


def test_a_packet_too_large_is_refused_before_its_body_arrives() -> None:
    decoder = Decoder(V311, max_packet_size=100)
    assert decoder.feed(encode(Publish("t", b"x" * 95), V311)) == [Publish("t", b"x" * 95)]

    with pytest.raises(MalformedPacket) as caught:
        decoder.feed(b"\x30\x63")
    assert caught.value.reason_code == Reason.PACKET_TOO_LARGE


def test_packets_before_a_fault_arrive_and_the_stream_stays_broken() -> None:
    decoder = Decoder(V311)

    with pytest.raises(MalformedPacket) as caught:
        decoder.feed(b"\xc0\x00\xd0\x00\x00\x00")
    assert caught.value.packets == [PingReq(), PingResp()]

    with pytest.raises(MalformedPacket):
        decoder.feed(b"\xc0\x00")


@pytest.mark.parametrize(
    "packet",
    [Publish("x" * 65_536), Connect("a", password=b"x" * 65_536), Subscribe(1, (Subscription("x" * 65_536),))],
)
def test_what_does_not_fit_on_the_wire_is_not_encoded(packet: Packet) -> None:
    with pytest.raises(ValueError, match=r"do(es)? not fit"):
        encode(packet, V311)


def test_auth_is_not_encoded_for_3_1_1() -> None:
    with pytest.raises(ValueError, match=r"^MQTT 3\.1\.1 has no AUTH packet$"):
        encode(Auth(), V311)


# --- properties of the whole ------------------------------------------------------------------------------------------

strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
blobs = st.binary(max_size=40)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
ids = st.integers(1, 0xFFFF)
codes = st.integers(0, 255)
flags = st.integers(0, 1)
pairs = st.lists(st.tuples(strings, strings), max_size=2).map(tuple)


def maybe(
    strategy: st.SearchStrategy[int] | st.SearchStrategy[str] | st.SearchStrategy[bytes],
) -> st.SearchStrategy[object]:
    return st.none() | strategy


publish_properties = st.builds(
    PublishProperties, maybe(flags), maybe(u32), maybe(u16), maybe(strings), maybe(blobs),
    st.lists(st.integers(1, 268_435_455), max_size=2).map(tuple), maybe(strings), pairs,
)  # fmt: skip
will_properties = st.builds(
    WillProperties, maybe(u32), maybe(flags), maybe(u32), maybe(strings), maybe(strings), maybe(blobs), pairs
)
connect_properties = st.builds(
    ConnectProperties, maybe(u32), maybe(ids), maybe(st.integers(1, 0xFFFF_FFFF)), maybe(u16), maybe(flags),
    maybe(flags), maybe(strings), maybe(blobs), pairs,
)  # fmt: skip
connack_properties = st.builds(
    ConnAckProperties, maybe(u32), maybe(ids), maybe(flags), maybe(flags), maybe(st.integers(1, 0xFFFF_FFFF)),
    maybe(strings), maybe(u16), maybe(strings), maybe(flags), maybe(flags), maybe(flags), maybe(u16), maybe(strings),
    maybe(strings), maybe(strings), maybe(blobs), pairs,
)  # fmt: skip
ack_properties = st.builds(AckProperties, maybe(strings), pairs)
auth_properties = st.builds(AuthProperties, maybe(strings), maybe(blobs), maybe(strings), pairs)
disconnect_properties = st.builds(DisconnectProperties, maybe(u32), maybe(strings), maybe(strings), pairs)
subscribe_properties = st.builds(SubscribeProperties, maybe(st.integers(1, 268_435_455)), pairs)
unsubscribe_properties = st.builds(UnsubscribeProperties, pairs)


@cache  # made once, for drawing from it makes it anew each time
def for_version(version: int) -> st.SearchStrategy[Packet]:
    v5 = version == V5

    def props(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        # An empty property section decodes to None, so a value with nothing in it has no round trip of its own.
        return strategy.map(lambda value: None if value == type(value)() else value) | st.none() if v5 else st.none()

    def reasons(kind: type[Packet]) -> st.SearchStrategy[int]:
        return st.sampled_from(sorted(REASONS[kind])) if v5 else st.just(0)

    subscriptions = st.builds(
        Subscription,
        strings,
        st.integers(0, 2),
        st.booleans() if v5 else st.just(False),
        st.booleans() if v5 else st.just(False),
        st.integers(0, 2) if v5 else st.just(0),
    )
    will = st.builds(Will, strings, blobs, st.integers(0, 2), st.booleans(), props(will_properties))
    connect = st.builds(
        Connect, strings, st.just(version), st.booleans(), u16, maybe(strings), maybe(blobs),
        st.none() | will, props(connect_properties),
    ).filter(lambda packet: v5 or packet.username is not None or packet.password is None)  # fmt: skip
    publish_0 = st.builds(
        Publish, strings, blobs, st.just(0), st.booleans(), st.just(False), st.just(0), props(publish_properties)
    )
    publish_1 = st.builds(
        Publish, strings, blobs, st.integers(1, 2), st.booleans(), st.booleans(), ids, props(publish_properties)
    )
    common = [
        connect,
        publish_0,
        publish_1,
        st.builds(ConnAck, st.booleans(), codes, props(connack_properties)),
        *(st.builds(kind, ids, reasons(kind), props(ack_properties)) for kind in (PubAck, PubRec, PubRel, PubComp)),
        st.builds(
            Subscribe, ids, st.lists(subscriptions, min_size=1, max_size=3).map(tuple), props(subscribe_properties)
        ),
        st.builds(SubAck, ids, st.lists(codes, max_size=3).map(tuple), props(ack_properties)),
        st.builds(
            Unsubscribe, ids, st.lists(strings, min_size=1, max_size=3).map(tuple), props(unsubscribe_properties)
        ),
        st.builds(UnsubAck, ids, st.lists(codes, max_size=3 if v5 else 0).map(tuple), props(ack_properties)),
        st.sampled_from([PingReq(), PingResp()]),
        st.builds(Disconnect, reasons(Disconnect), props(disconnect_properties)),
    ]
    if v5:
        common.append(st.builds(Auth, reasons(Auth), props(auth_properties)))
    return st.one_of(*common)


packets = st.one_of(*(st.tuples(st.just(version), for_version(version)) for version in (V311, V5)))


@given(packets)
def test_decoding_what_was_encoded_gives_the_packet_back(sample: tuple[int, Packet]) -> None:
    version, packet = sample
    raw = encode(packet, version)

    assert decoder_for(packet, version).feed(raw) == [packet]
    if isinstance(packet, Publish):
        assert encoded_size(packet, version) == len(raw)


@settings(deadline=None)
@given(st.sampled_from([V311, V5]), st.data())
def test_a_stream_may_be_cut_anywhere(version: int, data: st.DataObject) -> None:
    sent = data.draw(st.lists(for_version(version).filter(lambda p: not isinstance(p, Connect)), max_size=5))
    raw = b"".join(encode(packet, version) for packet in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    decoder = Decoder(version)

    arrived: list[Packet] = []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        arrived += decoder.feed(raw[start:end])

    assert arrived == sent


@given(st.sampled_from([None, V311, V5]), st.binary(max_size=80))
def test_noise_is_malformed_and_nothing_worse(version: int | None, noise: bytes) -> None:
    with suppress(MalformedPacket):
        Decoder(version, 1000).feed(noise)


@given(packets, st.data())
def test_a_damaged_packet_is_malformed_or_another_packet(sample: tuple[int, Packet], data: st.DataObject) -> None:
    version, packet = sample
    raw = bytearray(encode(packet, version))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(MalformedPacket):
        decoder_for(packet, version).feed(bytes(raw))
