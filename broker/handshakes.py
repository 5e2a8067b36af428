"""QoS 2 in both directions: what is kept so that a message is handed on exactly once (MQTT 4.3.3).

Of a message from a client only its packet identifier is kept, from PUBLISH to PUBREL: it was handed on when it came
("method B"), and every further PUBLISH with the identifier is a repetition, marked as one or not, on this connection or
the next. A message to a client is kept until its PUBREC and its identifier until PUBCOMP; `sessions` repeats either.
"""

from ucmlab.broker.events import Command, SendPacket
from ucmlab.broker.packets import V5, PubComp, Publish, PubRec, PubRel, Reason
from ucmlab.broker.sessions import Connection, Session
from ucmlab.broker.violations import Violation


def is_repetition(
    link: Connection, session: Session, packet: Publish, receive_maximum: int, out: list[Command]
) -> bool:
    """Whether the message at QoS 2 was handed on before; then it is acknowledged once more here.

    Raises:
        Violation: the client begins more than it was told that it may.
    """
    if session.version == V5:
        link.unreleased.add(packet.packet_id)
        if len(link.unreleased) > receive_maximum:
            raise Violation(
                Reason.RECEIVE_MAXIMUM_EXCEEDED, f"more than {receive_maximum} messages at QoS 2 are not released"
            )
    if packet.packet_id not in session.incoming:
        return False
    out.append(SendPacket(link.number, PubRec(packet.packet_id)))
    return True


def answer(link: Connection, session: Session, packet_id: int, reason: int) -> SendPacket:
    """The PUBREC for a new message. A refused one is over with it, and its identifier is free again (4.3.3-9)."""
    if reason < Reason.UNSPECIFIED:
        session.incoming.add(packet_id)
    else:
        link.unreleased.discard(packet_id)
    return SendPacket(link.number, PubRec(packet_id, reason))


def on_acknowledgement(
    link: Connection, session: Session, packet: PubRec | PubRel | PubComp, now: int, out: list[Command]
) -> None:
    """Takes what a client says of a message at QoS 2.

    Raises:
        Violation: it answers a message that went out at QoS 1, or skips a step.
    """
    match packet:
        case PubRel(packet_id):
            known = packet_id in session.incoming
            session.incoming.discard(packet_id)
            link.unreleased.discard(packet_id)
            out.append(SendPacket(link.number, PubComp(packet_id, _found(session, known=known))))
        case PubRec(packet_id, reason) if reason >= Reason.UNSPECIFIED:
            session.refused(packet_id)
            session.drain(now, out)
        case PubRec(packet_id):
            known = session.received(packet_id)
            out.append(SendPacket(link.number, PubRel(packet_id, _found(session, known=known))))
        case PubComp(packet_id):
            session.complete(packet_id)
            session.drain(now, out)


def _found(session: Session, *, known: bool) -> int:
    # 3.1.1 has no codes, and wants the handshake to end all the same (4.3.3-1, 4.3.3-2).
    return Reason.SUCCESS if known or session.version != V5 else Reason.PACKET_ID_NOT_FOUND
