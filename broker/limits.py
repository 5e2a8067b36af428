"""What one client of the broker may cost."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may cost. The defaults are generous for a lab and safe for its machine.

    Attributes:
        max_connections: open connections, accepted or not.
        max_sessions: sessions of clients, there or away; a client id that is new is refused beyond.
        max_packet_size: bytes of one packet taken from a client; 2,000,000 is the default of Mosquitto 2.1.
        max_inflight: unacknowledged messages of QoS 1 and 2 to one client; version 5 clients may ask for fewer. Far
            above Mosquitto's 20, so that a burst need not wait for acknowledgements; a thousand of 2 KB are 2 MB.
        receive_maximum: messages of QoS 2 that a version 5 client may have begun and not released on one connection.
            Those of QoS 1 are acknowledged at once, and 3.1.1 knows no bound but the 65,535 identifiers, which are all
            that is kept of such a message.
        max_queued: live messages that wait for one client; Mosquitto's default. The newest is dropped and counted.
        max_queued_bytes: their payloads together; a message that would exceed it is dropped and counted.
        max_subscriptions: filters of one session.
        max_retained: topics with a retained message.
        topic_alias_maximum: aliases that a version 5 client may set.
        connect_timeout: seconds from opening to CONNECT.
        packet_timeout: seconds from a packet's first bytes to its last.
        server_keep_alive: seconds that version 5 clients are told to use instead of their own; `None` to let them.
        response_information: what a version 5 client that asks is told to build its response topics on; `%c` stands
            for its client id. `None` to tell nothing.
    """

    max_connections: int = 4096
    max_sessions: int = 20_000
    max_packet_size: int = 2_000_000
    max_inflight: int = 1000
    receive_maximum: int = 1000
    max_queued: int = 1000
    max_queued_bytes: int = 64_000_000
    max_subscriptions: int = 1000
    max_retained: int = 100_000
    topic_alias_maximum: int = 16
    connect_timeout: int = 10
    packet_timeout: int = 120
    server_keep_alive: int | None = None
    response_information: str | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot work.

        Raises:
            ValueError: no room for packet identifiers.
        """
        if not 1 <= self.max_inflight <= 20_000:  # noqa: PLR2004  a third of the range, so a free one is soon found
            raise ValueError(f"max_inflight is {self.max_inflight}; 1 to 20000 leaves room for packet identifiers")
        if not 1 <= self.receive_maximum <= 65_535:  # noqa: PLR2004  what the property can hold, and 0 is forbidden
            raise ValueError(f"receive_maximum is {self.receive_maximum}; it is from 1 to 65535")
