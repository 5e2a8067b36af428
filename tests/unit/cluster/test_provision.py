"""A lab's home: whole or not at all, private, and opened with a reason when it is none."""

import ssl
import stat
from pathlib import Path

import pytest

from ucmlab.broker.access import Accounts, ClientIdentity
from ucmlab.broker.topics import Topics
from ucmlab.cluster import homebuild
from ucmlab.cluster.ca.keys import PrivateKey, make_key, simulation_keys
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.keycache import users_keys
from ucmlab.cluster.provision import LabHome, discard_lab, open_lab, provision
from ucmlab.cluster.topology import Settings, Topology, topology
from ucmlab.node.commands import SetRelease
from ucmlab.node.disk import NodeDisk
from ucmlab.node.keyring import KeyRing
from ucmlab.node.layout import HomeLayout

SMALL = topology(Settings(nodes="pub,sub1"))
WALL = 1_767_600_000_000_000


def made(folder: Path, asked: Topology = SMALL, *, seed: int = 1, options: dict[str, str] | None = None) -> LabHome:
    """A home like any other, but that everybody knows the keys of its default CAs: they cost nothing."""
    return provision(folder, asked, wall_start=WALL, seed=seed, options=options, keys=simulation_keys())


@pytest.fixture
def home(tmp_path: Path) -> LabHome:
    return made(tmp_path / "lab", seed=7, options={"broker": "embedded"})


def test_a_lab_is_opened_as_it_was_made(home: LabHome) -> None:
    found = open_lab(home.path)
    assert found.lab == home.lab
    assert (found.lab.seed, found.lab.wall_start, found.topology) == (7, WALL, SMALL)


def test_everything_in_a_home_is_its_owners_alone(home: LabHome) -> None:
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (home.path, *home.path.rglob("*"))}
    assert {path for path, mode in modes.items() if mode & 0o077} == set()


def test_members_know_each_others_public_keys_and_only_their_own_private_ones(home: LabHome) -> None:
    configs = [home.node_config(name) for name in ("pub", "sub1")]
    assert configs[0].members == configs[1].members
    assert [member.name for member in configs[0].members] == ["pub", "sub1"]
    for member in configs[0].members:
        identity = KeyRing(home.node_home(member.name)).bus
        assert (member.signing, member.sealing) == (identity.signing_public, identity.sealing_public)
    others = KeyRing(home.node_home("pub")).bus
    everything = b"".join(path.read_bytes() for path in home.node_home("sub1").rglob("*") if path.is_file())
    assert others.password.encode() not in everything


def test_a_node_is_let_in_with_its_password_under_its_own_name_only(home: LabHome) -> None:
    accounts = Accounts(home.accounts())
    endpoint = home.endpoint("sub1", host="127.0.0.1", port=1883, tls=False)
    assert accounts.authenticate(endpoint.client_id, endpoint.username, endpoint.password.encode())
    assert not accounts.authenticate("pub", endpoint.username, endpoint.password.encode())
    assert not accounts.authenticate(endpoint.client_id, endpoint.username, b"guess")
    assert not accounts.authenticate("anybody", None, None)


def test_the_observer_reads_everything_of_the_cluster_and_writes_nothing(home: LabHome) -> None:
    accounts, topics = Accounts(home.accounts()), Topics(home.lab.cluster)
    endpoint = home.observer_endpoint("dashboard-1", host="127.0.0.1", port=1883, tls=True)
    assert accounts.authenticate("dashboard-1", endpoint.username, endpoint.password.encode())
    assert endpoint.ca_file == str(home.bus_ca)
    observer = ClientIdentity("dashboard-1", endpoint.username)
    assert accounts.authorize(observer, "subscribe", f"{topics.root}/#")
    assert accounts.authorize(observer, "receive", topics.head())
    assert not accounts.authorize(observer, "subscribe", "#")
    assert not accounts.authorize(observer, "publish", topics.head())


@pytest.mark.rule("B.2")
def test_nodes_have_the_default_cas_of_their_lab_and_none_of_their_keys(home: LabHome) -> None:
    kept = home.default_cas()
    assert [each.name for each in kept] == list(SMALL.rulebook.default_cas)
    certificates = tuple(ssl.PEM_cert_to_DER_cert(each.certificate) for each in kept)
    assert [home.node_config(name).default_cas for name in SMALL.names] == [certificates, certificates]
    lines = [line for each in kept for line in each.key.splitlines()[1:-1]]
    for path in home.path.rglob("*"):
        text = path.read_text("latin-1") if path.is_file() and path.name != "default_cas.json" else ""
        assert not any(line in text for line in lines), path


def test_labs_share_no_key_of_their_default_cas_which_come_from_where_the_caller_says(tmp_path: Path) -> None:
    asked: list[str] = []

    def key(kind: str) -> PrivateKey:
        asked.append(kind)
        return make_key(kind)

    labs = [provision(tmp_path / name, SMALL, wall_start=WALL, keys=key) for name in ("one", "other")]
    assert asked == ["rsa-2048"] * 10
    assert len({each.key for lab in labs for each in lab.default_cas()}) == 10


def test_secrets_differ_between_labs_and_show_in_no_repr(home: LabHome, tmp_path: Path) -> None:
    other = made(tmp_path / "other", seed=7)
    mine, theirs = home.credentials(), other.credentials()
    assert mine.os_password != theirs.os_password
    assert home.lab.cluster != other.lab.cluster
    assert mine.os_password not in repr(mine)
    assert home.endpoint("pub", host="h", port=1, tls=False).password not in repr(home)


def test_the_broker_certificate_is_trusted_under_every_address_that_was_asked_for(home: LabHome) -> None:
    before = home.broker_certificate().read_bytes()
    assert home.broker_certificate(["127.0.0.1", "localhost"]).read_bytes() == before
    file = home.broker_certificate(["127.20.3.1", "broker.lab.test"])
    assert file.read_bytes() != before
    for name in ("127.20.3.1", "broker.lab.test", "localhost"):
        handshake(home.bus_ca, file, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(home.bus_ca, file, "127.20.3.2")


def handshake(authority: Path, certificate: Path, name: str) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate)
    client_context = ssl.create_default_context(cafile=str(authority))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)


@pytest.mark.parametrize(
    ("nodes", "release", "said"),
    [
        ("pub,sub1", "14SU2", None),
        ("sub1,pub", "14SU2", None),
        ("pub,sub1,sub2", "14SU2", "nodes: the lab has pub,sub1, asked for is pub,sub1,sub2"),
        ("pub,sub1", "12.5", "release: the lab has 14SU2, asked for is 12.5"),
    ],
)
def test_the_first_difference_is_named(home: LabHome, nodes: str, release: str, said: str | None) -> None:
    assert home.matches(topology(Settings(nodes=nodes, release=release))) == said


def test_other_options_are_compared_as_well(home: LabHome) -> None:
    assert home.matches(SMALL, {"broker": "embedded"}) is None
    assert home.matches(SMALL, {"broker": "mosquitto"}) == "broker: the lab has embedded, asked for is mosquitto"


def test_a_failed_init_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(homebuild, "write_private", full)
    with pytest.raises(Unusable, match=r"no lab can be made in .*: No space left on device"):
        made(tmp_path / "lab")
    assert list(tmp_path.iterdir()) == []


def test_a_key_cache_that_others_can_read_makes_no_lab_and_is_told(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o755)
    cache.chmod(0o755)
    with pytest.raises(
        Unusable, match=r"^no lab can be made in .*/lab: .*/cache must belong to you alone \(.*\); it does"
    ):
        provision(tmp_path / "lab", SMALL, wall_start=WALL, keys=users_keys({"UCMLAB_CACHE": str(cache)}))
    assert list(tmp_path.iterdir()) == [cache]


def test_a_place_that_is_taken_is_left_alone(home: LabHome, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"there is a lab in .* already"):
        made(home.path)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years")
    with pytest.raises(Unusable, match="is there and holds no lab"):
        made(tmp_path / "work")
    with pytest.raises(Unusable, match=r"there is no lab in"):
        discard_lab(tmp_path / "work")
    assert (tmp_path / "work" / "thesis.tex").read_text() == "years"


def test_an_empty_folder_may_become_a_lab(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    assert made(tmp_path / "lab").path == tmp_path / "lab"


def test_a_lab_can_be_discarded(home: LabHome, tmp_path: Path) -> None:
    discard_lab(home.path)
    discard_lab(home.path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b'{"schema": 1}', b"{", b'{"schema": 99}', b'{"name": "\xff"}'])
def test_a_lab_of_another_version_is_not_opened(home: LabHome, content: bytes) -> None:
    (home.path / "lab.json").write_bytes(content)
    with pytest.raises(Unusable, match="was not made by this version of ucmlab; make the lab anew with --fresh"):
        open_lab(home.path)


def test_where_there_is_no_lab_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"there is no lab in .*; make one with `ucmlab init`"):
        open_lab(tmp_path)


def test_a_node_that_there_is_not_is_answered_with_those_that_there_are(home: LabHome) -> None:
    with pytest.raises(Unusable, match=r"there is no node 'sub9' in this lab; there are pub, sub1"):
        home.node_home("sub9")


def test_every_node_of_a_topology_has_a_home(tmp_path: Path) -> None:
    asked: Topology = topology(Settings(nodes="pub,sub1,tftp1,imp1", replication="modern", timing="product"))
    home = made(tmp_path / "deep" / "lab", asked)
    configs = [home.node_config(name) for name in asked.names]
    assert [(config.name, config.role) for config in configs] == [(node.name, node.role) for node in asked.nodes]
    assert {(config.replication, config.timing, config.cluster) for config in configs} == {
        ("modern", "product", home.lab.cluster)
    }


def test_what_nodes_accept_in_an_upload_is_kept_and_compared(tmp_path: Path) -> None:
    asked = topology(Settings(nodes="pub,sub1", der_pkcs7=True, strict_uploads=True))
    made(tmp_path / "lab", asked)
    home = open_lab(tmp_path / "lab")
    assert home.topology == asked
    assert [home.node_config(name).der_pkcs7 for name in asked.names] == [True, True]
    assert [home.node_config(name).strict_uploads for name in asked.names] == [True, True]
    assert home.matches(SMALL) == "der_pkcs7: the lab has true, asked for is false"
    lenient = topology(Settings(nodes="pub,sub1", der_pkcs7=True))
    assert home.matches(lenient) == "strict_uploads: the lab has true, asked for is false"


def upgraded(home: LabHome, node: str, release: str) -> None:
    disk = NodeDisk(home.node_home(node), home.topology.rulebook, publisher=node == "pub")
    disk.load()
    disk.perform(SetRelease(release, ""))
    disk.close()


@pytest.mark.rule("B.19", "X-09")
def test_a_lab_has_the_release_of_its_publisher_and_each_node_its_own(tmp_path: Path) -> None:
    home = made(tmp_path / "lab", topology(Settings(nodes="pub,sub1", release="10.5")))
    upgraded(home, "pub", "14SU2")
    found = open_lab(home.path)
    assert (found.topology.release, found.topology.replication) == ("14SU2", "faithful")
    assert [found.node_config(name).release for name in ("pub", "sub1")] == ["14SU2", "10.5"]
    assert [found.node_config(name).replication for name in ("pub", "sub1")] == ["faithful", "legacy"]
    assert found.matches(found.topology) is None
    assert found.matches(home.lab.topology) == "release: the lab has 14SU2, asked for is 10.5"


def test_an_open_lab_looks_again_when_it_is_told_to(home: LabHome) -> None:
    assert home.topology.release == "14SU2"
    upgraded(home, "pub", "15")
    assert home.topology.release == "14SU2"
    home.reread()
    assert home.topology.release == "15"


def test_a_publisher_whose_disk_cannot_be_read_is_taken_as_it_was_made(home: LabHome) -> None:
    state = HomeLayout(home.node_home("pub"), home.topology.rulebook).state
    state.parent.mkdir()
    state.write_text("no JSON")
    assert open_lab(home.path).topology == SMALL
