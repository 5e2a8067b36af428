"""The CA bundle holds what is presented, whoever tells it last, and is written when that changes and not otherwise."""

from pathlib import Path

import pytest

from tests.integration.real_lab import make_home
from tests.unit.node.certificate_factory import certificate
from ucmlab.cluster.bundle import Bundle, bundle_path
from ucmlab.cluster.provision import LabHome
from ucmlab.node.certificates import pem

OLD, NEW, OTHER = (certificate(name, serial=number) for number, name in enumerate(("old", "new", "other"), 1))


@pytest.fixture
def home(tmp_path: Path) -> LabHome:
    return make_home(tmp_path, "pub,sub1")


def test_it_holds_the_bus_ca_and_what_every_node_presents_now(home: LabHome) -> None:
    bundle = Bundle(home)
    bundle.take("pub", {"https": (OLD,), "https_alt": (OLD,), "tftp_https": (OLD,)})
    bundle.take("sub1", {"https": (OTHER,)})
    bundle.take("pub", {"https": (NEW,), "https_alt": (NEW,)})
    assert bundle_path(home).read_text() == home.bus_ca.read_text() + pem(NEW) + pem(OLD) + pem(OTHER)
    bundle.take("pub", {"tftp_https": (NEW,)})
    assert pem(OLD) not in bundle_path(home).read_text()


def test_what_a_closed_listener_presented_stays(home: LabHome) -> None:
    bundle = Bundle(home)
    bundle.take("pub", {"https": (OLD,)})
    bundle.take("pub", {})
    assert pem(OLD) in bundle_path(home).read_text()


def test_it_is_written_only_when_it_changes_and_replaced_whole(home: LabHome) -> None:
    bundle = Bundle(home)
    bundle.take("pub", {"https": (OLD,)})
    first = bundle_path(home).stat()
    bundle.take("pub", {"https": (OLD,), "https_alt": (OLD,)})
    assert bundle_path(home).stat() == first
    with bundle_path(home).open() as opened:
        bundle.take("pub", {"https": (NEW,), "https_alt": (NEW,)})
        assert pem(OLD) in opened.read(), "who reads the old one reads all of it"
    assert bundle_path(home).stat().st_mode & 0o777 == 0o600
