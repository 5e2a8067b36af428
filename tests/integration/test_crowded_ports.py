"""Hundreds of clients without an account at ports of a real node: others are served there and everywhere else."""

import base64
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.integration.command_line import CommandLine, running
from tests.integration.interfaces import Api
from tests.integration.test_tls_real import dial, node_of, presented, until
from ucmlab.cluster.admin.rest import BASE
from ucmlab.cluster.doors import AT_A_PORT, CONNECTIONS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("crowd")) as made:
        yield made


def secured(stack: ExitStack, address: str) -> ssl.SSLSocket:
    """A connection after its handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return stack.enter_context(context.wrap_socket(stack.enter_context(dial(address)), suppress_ragged_eofs=True))


@pytest.mark.rule("B.14")
def test_silent_clients_keep_nobody_out_neither_there_nor_elsewhere(lab: CommandLine) -> None:
    node = node_of(lab, "pub")
    addresses = node["addresses"]
    ports = {"https_alt": "tomcat", "tvs": "TVS", "cti_tls": "CallManager", "capf": "CAPF"}
    expected = {name: node["identities"][unit]["fingerprint"] for name, unit in ports.items()}
    process = psutil.Process(node["pid"])
    descriptors = process.num_fds()
    with ExitStack() as stack:
        for name in ("https_alt", "https", "sip_tls", "haproxy", "ipsec"):
            for _ in range(AT_A_PORT + 2):
                stack.enter_context(dial(addresses[name]))
        assert {name: presented(addresses[name], unit) for name, unit in ports.items()} == expected
        assert process.num_fds() <= descriptors + CONNECTIONS + 1
    assert until(lambda: process.num_fds() <= descriptors)


def test_whoever_guesses_passwords_shuts_no_port(lab: CommandLine) -> None:
    """Each guess takes its time, many of them in each connection, and nobody of them is inside meanwhile."""
    api, address = Api(lab, "pub"), node_of(lab, "pub")["addresses"]["https"]
    guess = base64.b64encode(b"nobody:x").decode()
    asked = f"GET {BASE}/options HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {guess}\r\n\r\n".encode() * 20
    with ExitStack() as stack:
        for _ in range(AT_A_PORT):
            secured(stack, address).sendall(asked)
        for _ in range(3):
            assert api.call("GET", "/options").status_code == 200


@pytest.mark.library
def test_who_has_shown_nothing_goes_for_others_also_after_the_handshake(lab: CommandLine) -> None:
    api, addresses = Api(lab, "sub1"), node_of(lab, "sub1")["addresses"]
    with ExitStack() as stack:
        for name in ("tvs", "tftp_https", "tftp_mra", "https_alt"):
            for _ in range(AT_A_PORT):
                secured(stack, addresses[name])
        assert api.call("GET", "/options").status_code == 200
        assert stack.enter_context(dial(addresses["ssh"])).recv(4) == b"SSH-"
