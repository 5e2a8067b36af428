"""Third-party renewals of a real lab's identities, whose steps go through different interfaces (wire-interfaces 5).

After each step every interface shows the same, OpenSSL sees what the node presents, and the other nodes have what is
to be everywhere. The CA is OpenSSL's own, and so is whoever looks at the ports.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import zeep

from tests.integration import test_tls_real as tls
from tests.integration.admin_surfaces import Rest, Soap, Ssh, Surface
from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import Api, fingerprint, leaf_of
from tests.openssl import openssl

pytestmark = [pytest.mark.slow, pytest.mark.library]
NODES = ("pub", "sub1", "sub2")
TOMCAT = "Cisco Tomcat"


class Identity(NamedTuple):
    """What is renewed: which service shows it at which port, once it has been restarted."""

    node: str
    unit: str
    at: Mapping[str, int]


WEB = Identity("pub", "tomcat", {"Cisco Tftp": 6971, TOMCAT: 8443})
CALLS = Identity("sub1", "CallManager", {"Cisco HAProxy": 9443})


class Mix(NamedTuple):
    """By which interface each step is done."""

    csr: str
    read: str
    trust: str
    install: str
    restart: str


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("mixed"), Forked, nodes=",".join(NODES)) as made:
        yield made


@pytest.mark.rule("R-029", "R-071", "R-107", "R-141", "R-142", "R-145")
@pytest.mark.parametrize("identity", [WEB, CALLS], ids=["tomcat", "CallManager"])
@pytest.mark.parametrize(
    "mix",
    [
        Mix(csr="rest", read="ssh", trust="ssh", install="rest", restart="soap"),
        Mix(csr="ssh", read="rest", trust="rest", install="ssh", restart="soap"),
    ],
    ids=["asked for by REST", "asked for by SSH"],
)
def test_a_renewal_through_all_three(lab: CommandLine, tmp_path: Path, identity: Identity, mix: Mix) -> None:
    renew(lab, tmp_path, identity, mix)


@pytest.mark.rule("R-107")
@pytest.mark.parametrize("surface", ["rest", "ssh"])
def test_a_renewal_through_one_alone(lab: CommandLine, tmp_path: Path, surface: str) -> None:
    """Of an identity whose listener needs no Cisco Tomcat: the others are in test_rest_real and test_terminal_real."""
    renew(lab, tmp_path, CALLS, Mix(*[surface] * 5))


@pytest.mark.parametrize("surface", ["rest", "soap"])
def test_neither_of_the_websites_interfaces_restarts_the_web_server(lab: CommandLine, surface: str) -> None:
    began, why = presented(lab, WEB), f"{TOMCAT} serves this interface"
    if surface == "soap":
        with pytest.raises(zeep.exceptions.Fault, match=why):
            Soap(lab).restart("pub", TOMCAT)
    else:
        refused = Api(lab, "pub").post("/services", {"service": TOMCAT, "action": "restart"})
        assert (refused.status_code, refused.json()["reason"]) == (400, "dependency")
        assert why in refused.json()["message"]
    assert presented(lab, WEB) == began


def renew(lab: CommandLine, tmp_path: Path, identity: Identity, mix: Mix) -> None:
    """Renew an identity, looking at everything after each step."""
    node, unit, at = identity
    by: dict[str, Surface] = {"rest": Rest(lab), "ssh": Ssh(lab)}
    authority = Authority(tmp_path, f"{node} {mix.csr} {mix.read} {mix.restart}")
    cas = [authority.root.read_text(), authority.issuing.read_text()]

    by[mix.csr].make_csr(node, unit)
    csr = by[mix.read].csr(node, unit)
    assert {each.csr(node, unit) for each in by.values()} == {csr}
    before, elsewhere = presented(lab, identity), others(lab, identity)
    (tmp_path / "own.csr").write_text(csr)
    leaf = authority.sign(tmp_path / "own.csr").read_text()

    by[mix.trust].trust(node, unit, cas)
    lab.must("wait", "--converged", "--within", "60s")
    files = {Path(each["file"]).name for each in trust_of(lab, node, unit) if each["fingerprint"] in prints(cas)}
    assert len(files) == 2
    for other in NODES:
        assert prints(cas) <= {each["fingerprint"] for each in trust_of(lab, other, unit)}, other
        assert all(files <= each.trusted(other, unit) for each in by.values()), other
    assert presented(lab, identity) == before

    by[mix.install].install(node, unit, leaf)
    assert {leaf_of(each.identity(node, unit)) for each in by.values()} == {leaf_of(leaf)}
    assert {each.csr(node, unit) for each in by.values()} == {""}
    told = lab.json("dump")["nodes"][node]["identities"][unit]
    assert (told["fingerprint"], told["origin"]) == (fingerprint(leaf), "ca-signed")
    assert presented(lab, identity) == before, "nothing before its restart"
    assert others(lab, identity) == elsewhere, "a certificate of one node is nobody else's"

    for service, port in at.items():
        # Who serves REST and SOAP is restarted by the command line.
        restarts = by["ssh"] if service == TOMCAT else by.get(mix.restart, Soap(lab))
        restarts.restart(node, service)
        lab.must("wait", "--presents", node, service, fingerprint(leaf), "--within", "60s")
        assert tls.presented(f"{address(lab, node)}:{port}") == fingerprint(leaf)
    (tmp_path / "chain.pem").write_text("".join(cas))
    assert openssl("verify", "-CAfile", tmp_path / "chain.pem", tmp_path / "own.pem").endswith("OK\n")


def prints(cas: list[str]) -> set[str]:
    return {fingerprint(ca) for ca in cas}


def others(lab: CommandLine, identity: Identity) -> list[dict[str, object]]:
    """The same identity of the other nodes."""
    nodes = lab.json("dump")["nodes"]
    return [nodes[name]["identities"][identity.unit] for name in NODES if name != identity.node]


def trust_of(lab: CommandLine, node: str, unit: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = lab.json("dump")["nodes"][node]["trust"][f"{unit}-trust"]
    return found


def presented(lab: CommandLine, identity: Identity) -> list[str]:
    """What OpenSSL is shown at each of an identity's ports."""
    found = [tls.presented(f"{address(lab, identity.node)}:{port}") for port in identity.at.values()]
    assert all(found), "each is open"
    return found


def address(lab: CommandLine, node: str) -> str:
    return str(lab.json("env")[f"UCMLAB_{node.upper()}_ADDRESS"])
