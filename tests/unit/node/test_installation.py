"""Installation: which identities a role gets, their copies, what its image brings, and going on after a kill."""

import pytest
from msgspec.structs import replace

from tests.playbook import Playbook, config
from ucmlab.broker.messages import Birth, Proposal, SealedKeys
from ucmlab.cluster.default_cas import simulated_default_cas
from ucmlab.cluster.search.image import cluster_image
from ucmlab.node.certificates import parse
from ucmlab.node.commands import AnyCommand, MakeAuthz, MakeIdentity, SetInstalled, WriteFile
from ucmlab.node.config import Policy, Role
from ucmlab.node.events import DiskImage
from ucmlab.node.instant import HOUR, MINUTE

NODES = ("pub", "sub1", "tftp1", "imp1")
CUCM = ("tomcat", "tomcat-ECDSA", "ipsec", "CallManager", "CallManager-ECDSA", "TVS")
IMP = (
    "tomcat", "tomcat-ECDSA", "ipsec",
    "cup", "cup-ECDSA", "cup-xmpp", "cup-xmpp-ECDSA", "cup-xmpp-s2s", "cup-xmpp-s2s-ECDSA",
)  # fmt: skip
MADE: dict[str, tuple[str, ...]] = {
    "pub": ("tomcat", "tomcat-ECDSA", "ipsec", "CallManager", "CallManager-ECDSA", "CAPF", "TVS", "ITLRecovery"),
    "sub1": CUCM,
    "tftp1": CUCM,
    "imp1": IMP,
}


MIC_ROOTS = (
    "ACT2 SUDI CA",
    "Cisco Manufacturing CA",
    "Cisco Manufacturing CA SHA2",
    "Cisco Root CA 2048",
    "Cisco Root CA M2",
)


def bare(name: str, *, release: str = "14SU2") -> Playbook:
    return Playbook(config(name, nodes=NODES, release=release), image=DiskImage(boot=0))


def with_image(name: str, *, release: str = "14SU2", replication: Policy = "faithful") -> Playbook:
    told = config(name, nodes=NODES, release=release, replication=replication)
    image = simulated_default_cas(release, "seed")
    return Playbook(replace(told, default_cas=image), image=DiskImage(boot=0))


def unpacked(commands: list[AnyCommand]) -> dict[str, list[str]]:
    """Unit to the names of the certificates that were written before the database was heard of."""
    found: dict[str, list[str]] = {}
    for each in commands:
        if isinstance(each, WriteFile):
            found.setdefault(each.unit, []).append(parse(each.der).common_name)
    return {unit: sorted(names) for unit, names in found.items()}


def proposed(node: Playbook, commands: list[AnyCommand]) -> list[Proposal]:
    return [said for _, said in node.published(commands) if isinstance(said, Proposal)]


@pytest.mark.rule("B.1")
@pytest.mark.rule("R-001", "R-103")
@pytest.mark.parametrize("name", NODES)
def test_each_role_makes_its_identities(name: str) -> None:
    node = bare(name)
    wanted = node.start()
    assert tuple(each.unit for each in wanted if isinstance(each, MakeIdentity)) == MADE[name]
    assert set(node.disk.identities) == set(MADE[name])


@pytest.mark.rule("B.1")
@pytest.mark.parametrize(("release", "has"), [("12.5", True), ("14", False)])
def test_before_14_a_subscriber_has_a_capf_certificate_too(release: str, has: bool) -> None:  # noqa: FBT001
    node = bare("sub1", release=release)
    node.start()
    assert ("CAPF" in node.disk.identities) == has


@pytest.mark.rule("B.1")
@pytest.mark.rule("R-133")
def test_after_the_installation_of_a_cluster_every_node_has_what_its_role_has() -> None:
    image = cluster_image(NODES)
    expected = {name: {*MADE[name], *(("ITLRecovery",) if name in ("sub1", "tftp1") else ())} for name in NODES}
    assert {name: set(disk.identities) for name, disk in image.disks.items()} == expected
    shared = {disk.identities.get("ITLRecovery") for name, disk in image.disks.items() if name != "imp1"}
    assert len(shared) == 1
    keys: dict[Role, dict[str, int]] = {
        "pub": {"authz": 1, "ITLRecovery": 1},
        "sub": {"authz": 1, "ITLRecovery": 1},
        "tftp": {"authz": 1, "ITLRecovery": 1},
        "imp": {"authz": 1},
    }
    assert {each.name: image.disks[each.name].keys for each in image.configs} == {
        each.name: keys[each.role] for each in image.configs
    }


@pytest.mark.rule("B.18")
def test_the_publishers_ipsec_certificate_is_trusted_on_every_cucm_node_and_each_nodes_own_on_itself() -> None:
    image = cluster_image(NODES)
    trusted = {
        name: {file.der for file in disk.files if file.unit == "ipsec-trust"} for name, disk in image.disks.items()
    }
    own = {name: disk.identities["ipsec"] for name, disk in image.disks.items()}
    assert trusted == {
        "pub": {own["pub"]},
        "sub1": {own["pub"], own["sub1"]},
        "tftp1": {own["pub"], own["tftp1"]},
        "imp1": {own["imp1"]},
    }


def test_the_rows_are_one_proposal_repeated_until_it_is_answered_and_only_then_do_services_start() -> None:
    node = bare("sub1")
    node.start()
    node.connect()
    first = proposed(node, node.commands)
    assert [(each.op_id, each.kind) for each in first] == [("install-sub1", "install")]
    assert {each.unit for each in first[0].adds} == {
        *CUCM, "tomcat-trust", "ipsec-trust", "CallManager-trust", "Phone-SAST-trust", "TVS-trust",
    }  # fmt: skip
    later = proposed(node, node.wait(HOUR))
    assert 60 <= len(later) <= 130
    assert all(each.not_after > 59 * MINUTE for each in later[-1:])
    assert set(node.core.services.states().values()) == {"stopped", "not activated"}
    node.hears_answer("install-sub1")
    assert node.disk.installed
    assert node.core.services.states()["Cisco Tomcat"] == "started"
    assert node.core.open_operations() == 0
    births = node.said(Birth)
    assert births[-1].services["Cisco Tomcat"] == "started"


@pytest.mark.parametrize("made", range(len(CUCM) + 1))
def test_a_node_that_was_killed_while_being_installed_goes_on_where_it_was(made: int) -> None:
    whole = bare("sub1")
    whole.start()
    identities = dict(list(whole.disk.identities.items())[:made])
    node = Playbook(config("sub1", nodes=NODES), image=DiskImage(boot=1, identities=identities))
    wanted = node.start()
    assert tuple(each.unit for each in wanted if isinstance(each, MakeIdentity)) == CUCM[made:]
    node.connect()
    (last,) = proposed(node, node.commands)[-1:]
    assert (last.op_id, len(last.adds)) == ("install-sub1", 13)


def test_a_publisher_killed_between_installed_and_the_authz_keys_makes_them_at_its_next_start() -> None:
    pub = bare("pub")
    pub.start()
    image = pub.disk.image()
    del image.keys["authz"]
    again = Playbook(config("pub", nodes=NODES), image=image)
    assert [each for each in again.start() if isinstance(each, MakeAuthz)] == [MakeAuthz(1)]
    assert [each for each in again.start() if isinstance(each, MakeAuthz | SetInstalled)] == []


@pytest.mark.rule("R-125")
@pytest.mark.rule("R-133")
def test_the_authz_keys_are_made_on_the_publisher_only() -> None:
    pub, sub = bare("pub"), bare("sub1")
    for node in (pub, sub):
        node.start()
        node.connect()
    sub.hears_answer("install-sub1")
    assert [each for each in pub.commands if isinstance(each, MakeAuthz)] == [MakeAuthz(1)]
    assert [each for each in sub.commands if isinstance(each, (MakeAuthz, SealedKeys))] == []


@pytest.mark.rule("B.2", "X-04")
def test_the_publisher_brings_the_rows_of_the_image_and_names_every_node_that_has_the_unit() -> None:
    pub = with_image("pub")
    pub.start()
    image = set(pub.config.default_cas)
    rows = [row for row in pub.disk.replica().rows if row.der in image]
    assert {(row.unit, row.holders) for row in rows} == {
        ("CAPF-trust", ("pub", "sub1", "tftp1")),
        ("CallManager-trust", None),
    }
    for unit in ("CAPF-trust", "CallManager-trust"):
        assert sorted(parse(row.der).common_name for row in rows if row.unit == unit) == list(MIC_ROOTS)


@pytest.mark.rule("B.2")
@pytest.mark.parametrize("name", ["sub1", "imp1"])
def test_no_other_node_brings_any_so_that_many_nodes_say_no_more_than_one(name: str) -> None:
    node = with_image(name)
    node.start()
    node.connect()
    (said,) = proposed(node, node.commands)
    assert [row for row in said.adds if row.der in node.config.default_cas] == []


@pytest.mark.rule("B.2", "B.6")
@pytest.mark.parametrize(
    ("name", "release", "replication", "expected"),
    [
        ("sub1", "14SU2", "faithful", {"CallManager-trust": list(MIC_ROOTS)}),
        ("sub1", "14SU2", "modern", {}),
        ("imp1", "14SU2", "faithful", {}),
        ("imp1", "10.5", "legacy", {"tomcat-trust": ["VeriSign Class 3 Secure Server CA - G3"]}),
        ("imp1", "10.5", "modern", {}),
    ],
)
def test_files_of_the_image_lie_there_before_the_database_is_heard_of_where_files_win_over_it(
    name: str, release: str, replication: Policy, expected: dict[str, list[str]]
) -> None:
    node = with_image(name, release=release, replication=replication)
    assert unpacked(node.start()) == expected
    assert unpacked(node.start()) == {}, "once is enough"


@pytest.mark.rule("B.2")
@pytest.mark.parametrize("replication", ["modern", "faithful"])
def test_after_the_installation_of_a_cluster_the_default_cas_lie_on_every_node_that_has_their_units(
    replication: Policy,
) -> None:
    image = cluster_image(NODES, replication=replication)
    shipped = set(image.configs[0].default_cas)
    files = {
        name: sorted((file.unit, parse(file.der).common_name) for file in disk.files if file.der in shipped)
        for name, disk in image.disks.items()
    }
    both = [(unit, name) for unit in ("CAPF-trust", "CallManager-trust") for name in MIC_ROOTS]
    assert files == {"pub": both, "sub1": both, "tftp1": both, "imp1": []}


@pytest.mark.rule("B.2", "B.5")
@pytest.mark.parametrize(("release", "older"), [("12.0", ("CAP-RTP-001", "CAP-RTP-002")), ("12.5", ())])
def test_below_14_older_ones_are_there_too_in_files_that_are_named_as_the_product_names_them(
    release: str, older: tuple[str, ...]
) -> None:
    image = cluster_image(NODES, release, "faithful")
    shipped = set(image.configs[0].default_cas)
    names = {
        (file.unit, file.name) for name in ("sub1", "imp1") for file in image.disks[name].files if file.der in shipped
    }
    roots = [f"{name.replace(' ', '_')}.pem" for name in (*MIC_ROOTS, *older)]
    assert names == {
        *((unit, name) for unit in ("CAPF-trust", "CallManager-trust") for name in roots),
        ("tomcat-trust", "VeriSign_Class_3_Secure_Server_CA_-_G3.pem"),
    }
