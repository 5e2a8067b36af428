"""`--ports`: which ports are tried for one of the product's, and that a lab has those that were asked for, or none."""

import socket

import pytest

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.ports import Ports, read_ports

PRODUCTS = (443, 8443, 9443)


@pytest.mark.parametrize(
    ("text", "tried"),
    [("auto", (8443, 18_443, 0)), ("real", (8443,)), ("offset:0", (8443,)), ("offset:20000", (28_443,))],
)
def test_what_is_tried(text: str, tried: tuple[int, ...]) -> None:
    assert read_ports(text, PRODUCTS).candidates(8443) == tried


@pytest.mark.parametrize(
    "text",
    ["", "Real", "offset", "offset:", "offset:-1", "offset:1.5", "offset:٣", "offset:9999999", "offset:010000", "8443"],
)
def test_what_it_is_not(text: str) -> None:
    with pytest.raises(Unusable, match=r"^--ports .*: there are auto, real and offset:N, like offset:10000$"):
        read_ports(text, PRODUCTS)


def test_the_highest_offset_is_told() -> None:
    assert read_ports("offset:56092", PRODUCTS).candidates(9443) == (65_535,)
    with pytest.raises(
        Unusable, match=r"^--ports offset:56093: 9443 \+ 56093 is no port; the highest offset is 56092$"
    ):
        read_ports("offset:56093", PRODUCTS)


def test_a_port_that_somebody_has_is_told_and_nothing_is_held_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        Ports().see_that_they_can_be_had(["127.0.0.1"], [port])
        with pytest.raises(
            Unusable, match=rf"^--ports real: {port} of 127\.0\.0\.1 cannot be had, Address already in use"
        ):
            Ports("real").see_that_they_can_be_had(["127.0.0.1"], [port])
    for _ in range(2):
        Ports("real").see_that_they_can_be_had(["127.0.0.1", "127.0.0.2"], [port])


def test_nodes_with_one_address_cannot_all_have_the_same_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
    with pytest.raises(Unusable, match="Address already in use"):
        Ports("real").see_that_they_can_be_had(["127.0.0.1", "127.0.0.1"], [port])


class _Low(socket.socket):
    def bind(self, address: object) -> None:
        raise PermissionError(13, "Permission denied", address)


def test_who_may_not_listen_at_low_ports_hears_what_would_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", _Low)
    with pytest.raises(Unusable) as refused:
        Ports("real").see_that_they_can_be_had(["127.0.0.1"], [443])
    assert refused.value.text == (
        "--ports real: this user may not listen at 443; make the lab anew with --fresh --ports offset:10000, or let"
        " users with `sudo sysctl net.ipv4.ip_unprivileged_port_start=0`"
    )
