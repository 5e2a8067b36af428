"""Uploads of hundreds of certificates: what they take grows as they do, and names that collide are counted up."""

from collections.abc import Callable, Iterable

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.playbook import Playbook, config, row
from tests.steps import lines_run
from tests.unit.node.certificate_factory import certificate
from ucmlab.node.certificates import pem
from ucmlab.node.events import DiskImage

FEW, MANY = 60, 240
NAMELESS = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nobody's CA")])


def named(count: int, run: int) -> bytes:
    """A file of certificates with a name each."""
    return _file(certificate(f"Root CA {run} {number}", serial=1 + number) for number in range(count))


def nameless(count: int, run: int) -> bytes:
    """A file of certificates without a common name, so without a rule between them; before 14SU1 of one file name."""
    return _file(certificate(subject=NAMELESS, serial=1000 * run + number) for number in range(1, 1 + count))


def _file(ders: Iterable[bytes]) -> bytes:
    return "".join(map(pem, ders)).encode()


@pytest.mark.parametrize("made", [named, nameless])
def test_four_times_as_many_certificates_take_four_times_as_long(made: Callable[[int, int], bytes]) -> None:
    def takes(file: bytes, count: int) -> int:
        pub = Playbook(config("pub", release="12.5"), image=DiskImage(boot=0, installed=True)).up()
        first = lines_run(lambda: pub.uploads("op-1", file, "CAPF-trust"))
        again = lines_run(lambda: pub.uploads("op-2", file, "CAPF-trust"))
        assert [reply[:2] for reply in pub.replies()] == [("op-1", "done"), ("op-2", "done")]
        assert len(pub.files("CallManager-trust")) == len(pub.files("CAPF-trust")) == count
        return first + again

    assert takes(made(MANY, 2), MANY) < 4.2 * takes(made(FEW, 1), FEW)


@pytest.mark.rule("B.5")
def test_files_of_one_name_are_counted_up_and_a_number_that_is_free_again_is_used_again() -> None:
    pub = Playbook(config("pub", release="12.5"), image=DiskImage(boot=0, installed=True)).up()
    held = [row(der=certificate(subject=NAMELESS, serial=number)) for number in range(1, 6)]
    for number, each in enumerate(held[:4]):
        pub.uploads(f"op-{number}", each.der)
    stem = "Nobody%27s_CA"
    assert names(pub) == [f"{stem}.pem", f"{stem}-1.pem", f"{stem}-2.pem", f"{stem}-3.pem"]
    pub.deletes("op-4", held[1])
    pub.uploads("op-5", held[4].der)
    assert names(pub) == [f"{stem}.pem", f"{stem}-2.pem", f"{stem}-3.pem", f"{stem}-1.pem"]


def names(node: Playbook) -> list[str]:
    """The file names of tomcat-trust, in the order in which they were written."""
    return [file.name for file in node.disk.files.values() if file.unit == "tomcat-trust"]
