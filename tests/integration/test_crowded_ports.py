"""Hundreds of silent clients at ports of a real node: OpenSSL is served there and at every other one all the while."""

from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.integration.test_cli_lab import CommandLine, running
from tests.integration.test_tls_real import dial, node_of, presented, until
from ucmlab.cluster.doors import AT_A_PORT, CONNECTIONS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("crowd")) as made:
        yield made


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
