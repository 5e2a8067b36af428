"""Which clusters can be, and what is said of those that cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucmlab.cluster.errors import Misfit, Unusable
from ucmlab.cluster.topology import Settings, TopologyNode, role_of, split_names, topology


def test_names_choose_roles_and_the_publisher_comes_first() -> None:
    made = topology(Settings(nodes="sub1, tftp1,pub,imp1"))
    assert made.nodes == (
        TopologyNode("pub", "pub"),
        TopologyNode("sub1", "sub"),
        TopologyNode("tftp1", "tftp"),
        TopologyNode("imp1", "imp"),
    )
    assert made.publisher == "pub"
    assert made.names == ("pub", "sub1", "tftp1", "imp1")


@pytest.mark.rule("X-09")
@pytest.mark.parametrize(("release", "policy"), [("10.5", "legacy"), ("11.0", "faithful"), ("14SU2", "faithful")])
def test_the_replication_policy_follows_from_the_release(release: str, policy: str) -> None:
    assert topology(Settings(release=release)).replication == policy


def test_a_policy_that_is_named_is_taken() -> None:
    assert topology(Settings(replication="modern")).replication == "modern"
    assert topology(Settings(replication="legacy")).replication == "legacy"


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ("sub1", "there is no publisher; add pub, like pub,sub1"),
        ("", "there is no publisher; add pub, like pub"),
        ("pub,pub2", "'pub2': a cluster has one publisher"),
        ("pub,sub1,sub1", "'sub1' is named twice"),
        ("pub,db1", "'db1' chooses no role; names begin with sub, tftp or imp"),
        ("pub,Sub1", "'Sub1' is no name for a node; use lower-case letters"),
        ("pub,sub_1", "'sub_1' is no name for a node"),
        ("pub,sub1-", "'sub1-' is no name for a node"),
        ("pub,sub/1", "'sub/1' is no name for a node"),
        (f"pub,sub{'1' * 61}", "is no name for a node"),
        (f"pub,{','.join(f'sub{n}' for n in range(9))}", "9 subscribers are more than the product's 8"),
        (f"pub,{','.join(f'imp{n}' for n in range(7))}", "7 IM and Presence nodes are more than the product's 6"),
        (f"pub,{','.join(f'tftp{n}' for n in range(21))}", "21 subscribers and TFTP nodes together"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_in_one_line(nodes: str, said: str) -> None:
    with pytest.raises(Unusable) as refused:
        topology(Settings(nodes=nodes))
    assert said in refused.value.text
    assert "\n" not in refused.value.text


def test_more_nodes_than_the_product_allows_must_be_asked_for() -> None:
    names = ("pub", *(f"sub{number}" for number in range(30)))
    assert len(topology(Settings(nodes=names, beyond_product=True)).nodes) == 31


def test_an_unknown_release_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(Unusable, match=r"'15SU9' is no known release; there are 10\.5, .*14SU2"):
        topology(Settings(release="15SU9"))


@pytest.mark.rule("X-09")
def test_the_cluster_wide_delete_cannot_be_had_before_it_was_made() -> None:
    with pytest.raises(Unusable, match=r"release 10\.5 has no cluster-wide delete; .* a release from 11\.0"):
        topology(Settings(release="10.5", replication="faithful"))


@pytest.mark.parametrize("domain", ["", "lab..test", "Lab.test", "-lab.test", "lab/test", f"{'a.' * 100}test"])
def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(Unusable, match="is no DNS domain; write it like"):
        topology(Settings(domain=domain))


@pytest.mark.parametrize(
    ("settings", "keys", "index"),
    [
        (Settings(nodes=("sub1", "tftp1")), ("nodes",), None),
        (Settings(nodes=("pub", "sub1", "db1")), ("nodes",), 2),
        (Settings(nodes=("pub", "sub1", "pub", "sub1")), ("nodes",), 2),
        (Settings(nodes=("pub", *(f"imp{n}" for n in range(7)))), ("nodes",), None),
        (Settings(release="15SU9"), ("release",), None),
        (Settings(release="10.5", replication="faithful"), ("replication", "release"), None),
        (Settings(domain="lab test"), ("domain",), None),
    ],
)
def test_what_cannot_be_names_the_settings_that_it_is_about(
    settings: Settings, keys: tuple[str, ...], index: int | None
) -> None:
    with pytest.raises(Misfit) as refused:
        topology(settings)
    assert (refused.value.keys, refused.value.index) == (keys, index)


@given(st.text(max_size=20))
def test_a_name_that_is_accepted_is_safe_in_topics_and_paths(name: str) -> None:
    try:
        role_of(name)
    except Unusable:
        return
    assert not set(name) & set("/+#.%\\\0 ")
    assert name == name.lower()


@given(st.lists(st.sampled_from(["pub", "sub1", "imp-2"]), max_size=4), st.sampled_from([",", ", ", " ", "\n", ",,"]))
def test_names_may_be_separated_in_any_usual_way(names: list[str], separator: str) -> None:
    assert split_names(separator.join(names)) == tuple(names)
