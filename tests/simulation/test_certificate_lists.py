"""The certificate list and downloads in a story: what a whole cluster in virtual time has in its files."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.openssl import openssl
from tests.unit.node.authorities import issue
from tests.unit.scenarios.told import as_story
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.simkeys import sim_rsa
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.errors import Refusal
from ucmlab.scenarios import Lab
from ucmlab.scenarios.result import Options
from ucmlab.scenarios.runner import tell

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not there")
TRUST = "tomcat-trust"


def told(script: Callable[[Lab], Awaitable[None]], release: str = "14SU2") -> None:
    """Tell it in a simulated cluster; it must come to its end."""
    lab = SimLab(topology(Settings(nodes="pub,sub1", release=release)), seed=1)

    async def whole() -> None:
        await lab.open()
        keys = simulation_keys()
        result = await tell(as_story(script), Options(), port=lab, keys=keys, listener=lambda *_: None)
        assert (result.verdict, result.trouble) == ("held", None)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner:
        runner.run(whole())


@pytest.mark.rule("R-052", "R-205", "R-001", "R-068")
def test_a_story_filters_and_sorts_the_list() -> None:
    async def story(lab: Lab) -> None:
        pub = lab.node("pub")
        root = await lab.ca("Corp Root CA")
        issuing = await lab.ca("Corp Issuing CA", parent=root, key="ec-256", not_after=lab.now + timedelta(days=9))
        (await pub.upload(TRUST, root.pem + issuing.pem, "Corp PKI")).must_be("done")
        corp = pub.certificates(cn="corp")
        lab.check({entry.certificate.fingerprint for entry in corp} == {root.fingerprint, issuing.fingerprint}, "both")
        lab.check({entry.description for entry in corp} == {"Corp PKI"}, "with their description")
        kinds = {entry.name: entry.kind for entry in corp}
        lab.check(kinds == {"Corp Root CA": "Self-signed", "Corp Issuing CA": "CA-signed"}, "of two types", kinds)
        soon = pub.certificates(expires_before=lab.now + timedelta(days=30))
        lab.check([entry.name for entry in soon] == ["Corp Issuing CA"], "one expires")
        lab.check([e.name for e in pub.certificates(TRUST, cn="CORP", key="rsa")] == ["Corp Root CA"], "all must fit")
        by_expiry = [entry.certificate.not_after for entry in pub.certificates(sort="expires")]
        lab.check(by_expiry == sorted(by_expiry), "sorted by expiry")
        identities = pub.certificates(usage="identity")
        lab.check({entry.usage for entry in identities} == {"identity"}, "identities alone")
        lab.check("tomcat" in {entry.unit for entry in identities}, "tomcat among them")

    told(story)


@pytest.mark.rule("R-053")
def test_below_14_a_story_has_no_usage_filter() -> None:
    async def story(lab: Lab) -> None:
        with pytest.raises(Refusal, match=r"^release: "):
            lab.node("pub").certificates(usage="trust")
        with pytest.raises(Refusal, match=r"^release: "):
            lab.node("pub").certificates(sort="usage")
        lab.check(bool(lab.node("pub").certificates()), "without it there is a list")

    told(story, release="12.5")


@needs_openssl
@pytest.mark.rule("R-063")
def test_what_is_downloaded_is_what_was_uploaded(tmp_path: Path) -> None:
    # OpenSSL writes the files; it makes no certificate that has begun before today.
    given, made, der = (tmp_path / name for name in ("given.der", "made.pem", "made.der"))
    given.write_bytes(issue("Outside Root", sim_rsa(1)).der)
    openssl("x509", "-inform", "DER", "-in", given, "-out", made)
    openssl("x509", "-in", made, "-outform", "DER", "-out", der)

    async def story(lab: Lab) -> None:
        pub, sub1 = lab.nodes
        (await pub.upload(TRUST, made.read_bytes())).must_be("done")
        await lab.converged(within="31m")
        for node in (pub, sub1):
            (entry,) = node.certificates(TRUST, cn="Outside Root")
            lab.check(await node.download(TRUST, entry.file) == made.read_bytes(), f"the same PEM on {node.name}")
            got = await node.download(TRUST, entry.certificate.fingerprint, "der")
            lab.check(got == der.read_bytes(), f"the same DER on {node.name}")

    told(story)
