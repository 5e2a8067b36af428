"""A node's settings: made once by the lab, the same for every shell, never changed while the node runs."""

from typing import Literal, get_args

import msgspec

Role = Literal["pub", "sub", "tftp", "imp"]
Policy = Literal["faithful", "modern", "legacy"]
Timing = Literal["instant", "product"]
AuthzKey = Literal["signing", "encryption"]
"""The keys of OAuth (R-125)."""
AuthzAsked = AuthzKey | Literal[""]
"""Which of them is to be made; empty: both."""
AUTHZ_KEYS: tuple[AuthzKey, ...] = get_args(AuthzKey)


class Member(msgspec.Struct, frozen=True):
    """One member of the cluster as the others know it: its role and its public bus keys (32 raw bytes each)."""

    name: str
    role: Role
    signing: bytes = b""
    sealing: bytes = b""


class NodeConfig(msgspec.Struct, frozen=True):
    """What one node is told about itself and its cluster."""

    name: str
    role: Role
    cluster: str
    """The lab's id on the bus; a topic level, so without `/`, `+` and `#`."""
    domain: str
    release: str
    profile: Literal["seed", "english", "tac"]
    replication: Policy
    timing: Timing
    seed: int
    """The run's seed; delays of `--timing product` are drawn from it (design 4)."""
    members: tuple[Member, ...]
    """All members, the publisher first, then in the order of the topology."""
    der_pkcs7: bool = False
    """Whether an upload may be a PKCS#7 chain in DER; the seed's two lines disagree, the ruling is no (X-15)."""
    strict_uploads: bool = False
    """Refuse a leaf that lacks an extension that its request asked for, in place of a warning (R-031, R-051)."""
    default_cas: tuple[bytes, ...] = ()
    """The CA certificates (DER) of the product's image, B.2. Homes that were made before nodes had them have none."""

    @property
    def publisher(self) -> str:
        """The first node's name."""
        return self.members[0].name

    @property
    def is_publisher(self) -> bool:
        """Whether this node is the first node."""
        return self.name == self.publisher

    @property
    def fqdn(self) -> str:
        """The node's fully qualified name, as its certificates carry it."""
        return self.fqdn_of(self.name)

    def fqdn_of(self, node: str) -> str:
        """The fully qualified name of a node of the cluster."""
        return f"{node}.{self.domain}"
