"""The folders of a real lab's nodes, used by OpenSSL as they lie there: `-CApath`, and identities in DER."""

from pathlib import Path

import pytest

from tests.integration.authority import Authority
from tests.integration.command_line import Forked, running
from tests.openssl import EC, openssl
from tests.unit.node.disk_model import assert_linked
from ucmlab.node.certificates import parse, pem

FOLDER = "usr/local/platform/.security/tomcat/trust-certs"
NODES = ("pub", "sub1", "sub2")


def leaf_of(authority: Authority) -> Path:
    csr = authority.folder / "leaf.csr"
    openssl("req", "-new", *EC, "-nodes", "-keyout", csr.with_suffix(".key"), "-subj", "/CN=pub.lab.test", "-out", csr)
    return authority.sign(csr)


def verified(home: Path, leaf: Path) -> bool:
    stores = ("-CApath", home / FOLDER, "-no-CAfile", "-no-CAstore")
    try:
        return openssl("verify", *stores, leaf).endswith("leaf.pem: OK\n")
    except AssertionError as failed:
        assert "unable to get issuer certificate" in str(failed)  # noqa: PT017  of the issuing CA, whose root is gone
        return False


@pytest.mark.slow
@pytest.mark.rule("B.5", "B.6")
def test_openssl_verifies_with_a_nodes_trust_folder_until_the_root_is_deleted(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "Folder")
    leaf = leaf_of(authority)
    with running(tmp_path, Forked) as lab:
        homes = {name: Path(node["home"]) for name, node in lab.json("dump")["nodes"].items()}
        for file in (authority.issuing, authority.root):
            lab.must("cert", "upload", "sub1", "tomcat-trust", file, "--wait")
        assert {name: verified(home, leaf) for name, home in homes.items()} == dict.fromkeys(NODES, True)

        lab.must("fault", "kill", "sub2")
        for link in (homes["sub2"] / FOLDER).glob("*.[0-9]"):
            link.unlink()
        lab.must("fault", "start", "sub2")
        lab.must("wait", "--converged")
        assert verified(homes["sub2"], leaf)

        lab.must("cert", "delete", "pub", "tomcat-trust", "Folder Root", "--yes", "--wait")
        assert {name: verified(home, leaf) for name, home in homes.items()} == dict.fromkeys(NODES, False)

        lab.must("cert", "regenerate", "sub1", "tomcat", "--yes")
        lab.must("wait", "--converged")
        for home in homes.values():
            assert_linked(home)
            identities = list(home.rglob("certs/*.pem"))
            assert len(identities) > 5
            for path in identities:
                assert pem(path.with_suffix(".der").read_bytes()) == path.read_text()
        tomcat = homes["sub1"] / FOLDER / "../certs/tomcat.der"
        told = openssl("x509", "-inform", "DER", "-noout", "-fingerprint", "-sha256", "-in", tomcat)
        assert parse(tomcat.read_bytes()).fingerprint == told.strip().rpartition("=")[2].replace(":", "").lower()
