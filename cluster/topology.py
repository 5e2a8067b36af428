"""Which nodes a lab has, what they are, and by which rules they live: parsed once, impossible clusters refused.

Names are host names and choose roles (design 7.1): `pub`, `sub*`, `tftp*`, `imp*`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from ucmlab.cluster.errors import Misfit, Unusable
from ucmlab.node.config import Policy, Role, Timing
from ucmlab.node.releases import policy_at
from ucmlab.node.rulebook import Limits, RuleBook

Profile = Literal["seed", "english", "tac"]
DEFAULT_NODES = ("pub", "sub1", "sub2")
DEFAULT_RELEASE = "14SU2"
DEFAULT_DOMAIN = "lab.test"
"""Under `.test`, which RFC 6761 reserves: no lab's name is ever somebody's host."""

_HOST = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123 host name, lower case; so it is also safe as a topic level, a file name and a DNS label."""
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN_LIMIT = 189
"""A DNS name has at most 253 characters, of which a node's host name and its dot take up to 64."""
_ROLE_PREFIXES: dict[str, Role] = {"sub": "sub", "tftp": "tftp", "imp": "imp"}


class TopologyNode(msgspec.Struct, frozen=True):
    """One node of the topology."""

    name: str
    role: Role


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for, as options or a configuration file say it."""

    nodes: tuple[str, ...] | str = DEFAULT_NODES
    release: str = DEFAULT_RELEASE
    profile: Profile = "seed"
    replication: Literal["auto"] | Policy = "auto"
    timing: Timing = "instant"
    domain: str = DEFAULT_DOMAIN
    beyond_product: bool = False
    der_pkcs7: bool = False
    strict_uploads: bool = False


class Topology(msgspec.Struct, frozen=True):
    """A cluster that can be: the publisher is the first node, the replication policy is decided."""

    nodes: tuple[TopologyNode, ...]
    release: str
    profile: Profile
    replication: Policy
    timing: Timing
    domain: str
    der_pkcs7: bool = False
    """See `NodeConfig`, as for `strict_uploads`. Homes that were made before these were settings have neither."""
    strict_uploads: bool = False

    @property
    def publisher(self) -> str:
        """The first node's name."""
        return self.nodes[0].name

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes, the publisher first."""
        return tuple(node.name for node in self.nodes)

    @property
    def rulebook(self) -> RuleBook:
        """The rules of its release, as its profile reads them."""
        return RuleBook.load(self.release, self.profile)


def topology(settings: Settings) -> Topology:
    """Make what is asked for a topology.

    Raises:
        Misfit: no such cluster can be; the text says why and what would work.
    """
    rulebook = _rulebook(settings.release, settings.profile)
    names = split_names(settings.nodes) if isinstance(settings.nodes, str) else settings.nodes
    nodes = _nodes(names)
    if not settings.beyond_product:
        _within(rulebook.limits, nodes)
    replication = _replication(settings.replication, rulebook)
    _check_domain(settings.domain)
    return Topology(
        nodes=nodes,
        release=settings.release,
        profile=settings.profile,
        replication=replication,
        timing=settings.timing,
        domain=settings.domain,
        der_pkcs7=settings.der_pkcs7,
        strict_uploads=settings.strict_uploads,
    )


def topology_at(made: Topology, release: str) -> Topology:
    """The cluster when its publisher runs `release`; empty: the one that it was made with."""
    if release in ("", made.release):
        return made
    policy = policy_at(made.replication, made.release, release)
    return msgspec.structs.replace(made, release=release, replication=policy)


def split_names(text: str) -> tuple[str, ...]:
    """Read `--nodes pub,sub1,sub2`; spaces around names and between them do no harm."""
    return tuple(name for name in re.split(r"[,\s]+", text.strip()) if name)


def role_of(name: str) -> Role:
    """The role that a node's name chooses (design 7.1).

    Raises:
        Unusable: the name is no host name, or chooses none.
    """
    if not _HOST.fullmatch(name):
        raise Unusable(f"{name!r} is no name for a node; use lower-case letters, digits and '-', like sub1")
    if name == "pub":
        return "pub"
    for prefix, role in _ROLE_PREFIXES.items():
        if name.startswith(prefix):
            return role
    if name.startswith("pub"):
        raise Unusable(f"{name!r}: a cluster has one publisher, named pub; other names begin with sub, tftp or imp")
    raise Unusable(f"{name!r} chooses no role; names begin with sub, tftp or imp, and the publisher is pub")


def _nodes(names: Sequence[str]) -> tuple[TopologyNode, ...]:
    nodes = [_node(name, at) for at, name in enumerate(names)]
    twice = [at for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise Misfit(f"{names[twice[0]]!r} is named twice; every node needs a name of its own", "nodes", index=twice[0])
    if not any(node.role == "pub" for node in nodes):
        raise Misfit(f"there is no publisher; add pub, like {','.join(('pub', *names))}", "nodes")
    # The publisher is the first node (NodeConfig.members), wherever it was named; the others keep their order.
    return tuple(sorted(nodes, key=lambda node: node.role != "pub"))


def _node(name: str, at: int) -> TopologyNode:
    try:
        return TopologyNode(name, role_of(name))
    except Unusable as error:
        raise Misfit(error.text, "nodes", index=at) from error


def _within(limits: Limits, nodes: Iterable[TopologyNode]) -> None:
    count = Counter(node.role for node in nodes)
    bounds = (
        (count["sub"], limits.call_processing, "subscribers"),
        (count["sub"] + count["tftp"], limits.subscribers, "subscribers and TFTP nodes together"),
        (count["imp"], limits.imp, "IM and Presence nodes"),
    )
    for asked, most, what in bounds:
        if asked > most:
            raise Misfit(
                f"{asked} {what} are more than the product's {most}; name fewer, or say --beyond-product"
                f" (in lab.toml: beyond_product = true)",
                "nodes",
            )


def _rulebook(release: str, profile: str) -> RuleBook:
    try:
        return RuleBook.load(release, profile)
    except ValueError as error:
        raise Misfit(str(error), "release") from error


def _replication(asked: Literal["auto"] | Policy, rulebook: RuleBook) -> Policy:
    release = rulebook.release
    if asked == "auto":
        return release.replication
    # `modern` is an ideal of ours and `legacy` may be shown on any release; only the zombie of releases from 11.0 needs
    # a delete that reaches all nodes, which the older ones do not have.
    if asked == "faithful" and release.replication == "legacy":
        first = next(name for name in rulebook.releases if RuleBook.load(name).release.replication == "faithful")
        raise Misfit(
            f"release {release.name} has no cluster-wide delete; take --replication auto, or a release from {first}",
            "replication",
            "release",
        )
    return asked


def _check_domain(domain: str) -> None:
    if len(domain) > _DOMAIN_LIMIT or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise Misfit(f"{domain!r} is no DNS domain; write it like {DEFAULT_DOMAIN}", "domain")
