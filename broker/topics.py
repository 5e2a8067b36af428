"""Topic names of the bus, built and parsed in one place, and who may write and read which.

cucm/v1/{cluster}/log/{unit}                   publisher        each log entry, for people's sake by unit
cucm/v1/{cluster}/head                         publisher        retained
cucm/v1/{cluster}/node/{node}/birth            that node        retained, and its will
cucm/v1/{cluster}/node/{node}/ack              that node        retained
cucm/v1/{cluster}/req/{node}/{verb}            that node        proposals, catch-up requests, key receipts
cucm/v1/{cluster}/answer/{node}/{verb}         publisher        answers to that node
cucm/v1/{cluster}/keys/{node}                  publisher        sealed keys for that node
cucm/v1/{cluster}/peer/{node}/{to}             that node        multi-server requests and certificates, for another node
cucm/v1/{cluster}/svc/{node}/{service}/cmd     publisher, or    orders to that node's services
                                               that node
cucm/v1/{cluster}/svc/{node}/{service}/state   that node        retained

Beside them, read by nobody else and no part of what members say to each other:

cucm/echo/{cluster}/{client}                   that client      what it says to itself to see what came before
"""

from functools import lru_cache
from typing import NamedTuple

PREFIX = "cucm/v1"
QOS = 1


def echo_topic(cluster: str, client_id: str) -> str:
    """Where a client says something to itself, on a broker that tells no counters."""
    return f"cucm/echo/{cluster}/{client_id}"


class Topics(NamedTuple):
    """The topics of one cluster."""

    cluster: str

    @property
    def root(self) -> str:
        """Everything of this cluster is below it."""
        return f"{PREFIX}/{self.cluster}"

    def log(self, unit: str) -> str:
        """Entries whose first row is of `unit`."""
        return f"{PREFIX}/{self.cluster}/log/{unit}"

    def log_binding(self) -> str:
        """What an entry's signature is bound to, whatever unit's topic it travels on or whether in an answer."""
        return f"{PREFIX}/{self.cluster}/log"

    def head(self) -> str:
        """The end of the log."""
        return f"{PREFIX}/{self.cluster}/head"

    def birth(self, node: str) -> str:
        """Whether `node` is there."""
        return f"{PREFIX}/{self.cluster}/node/{node}/birth"

    def ack(self, node: str) -> str:
        """How far `node` got."""
        return f"{PREFIX}/{self.cluster}/node/{node}/ack"

    def request(self, node: str, verb: str) -> str:
        """What `node` asks of the publisher."""
        return f"{PREFIX}/{self.cluster}/req/{node}/{verb}"

    def answer(self, node: str, verb: str) -> str:
        """What the publisher answers `node`."""
        return f"{PREFIX}/{self.cluster}/answer/{node}/{verb}"

    def keys(self, node: str) -> str:
        """Sealed private material for `node`."""
        return f"{PREFIX}/{self.cluster}/keys/{node}"

    def peer(self, node: str, to: str) -> str:
        """What `node` says to one other node."""
        return f"{PREFIX}/{self.cluster}/peer/{node}/{to}"

    def service_order(self, node: str, service: str) -> str:
        """Orders to a service of `node`."""
        return f"{PREFIX}/{self.cluster}/svc/{node}/{slug(service)}/cmd"

    def service_state(self, node: str, service: str) -> str:
        """The state of a service of `node`."""
        return f"{PREFIX}/{self.cluster}/svc/{node}/{slug(service)}/state"

    def follower_filters(self, node: str, publisher: str) -> tuple[str, ...]:
        """What a node other than the publisher subscribes to; no two overlap."""
        root = self.root
        return (
            f"{root}/log/+",
            f"{root}/head",
            f"{root}/node/{publisher}/birth",
            f"{root}/answer/{node}/+",
            f"{root}/keys/{node}",
            f"{root}/peer/+/{node}",
            f"{root}/svc/{node}/+/cmd",
        )

    def publisher_filters(self, publisher: str) -> tuple[str, ...]:
        """What the publisher subscribes to; no two overlap."""
        root = self.root
        return (
            f"{root}/head",
            f"{root}/node/+/birth",
            f"{root}/node/+/ack",
            f"{root}/req/+/+",
            f"{root}/peer/+/{publisher}",
            f"{root}/svc/+/+/cmd",
            f"{root}/svc/+/+/state",
        )

    def writable(self, node: str, *, publisher: bool) -> tuple[str, ...]:
        """Filters that cover what a member may publish (design: a node only under its own topics)."""
        root = self.root
        own = (f"{root}/node/{node}/+", f"{root}/req/{node}/+", f"{root}/peer/{node}/+", f"{root}/svc/{node}/+/+")
        if not publisher:
            return own
        return (
            *own,
            f"{root}/log/+",
            f"{root}/head",
            f"{root}/answer/+/+",
            f"{root}/keys/+",
            f"{root}/svc/+/+/cmd",
        )

    def readable(self, node: str, *, publisher: bool, publisher_name: str) -> tuple[str, ...]:
        """Filters that a member may subscribe to and receive."""
        return self.publisher_filters(node) if publisher else self.follower_filters(node, publisher_name)


class Address(NamedTuple):
    """A topic, taken apart: its kind, the node that it names (or the unit, for the log), and what comes last."""

    kind: str
    node: str
    leaf: str


ROOT_LEVELS = 3
"""`cucm`, `v1`, and the cluster."""


@lru_cache(maxsize=4096)
def parse(topic: str) -> Address | None:  # noqa: PLR0911  one return for each kind of topic
    """Take a topic apart; `None` when it is none of ours."""
    parts = topic.split("/")
    if parts[:2] != ["cucm", "v1"]:
        return None
    match parts[ROOT_LEVELS:]:
        case ["head"]:
            return Address("head", "", "")
        case ["log", unit]:
            return Address("log", unit, "")
        case ["node", node, ("birth" | "ack") as leaf]:
            return Address(leaf, node, "")
        case [("req" | "answer") as kind, node, verb]:
            return Address(kind, node, verb)
        case ["keys", node]:
            return Address("keys", node, "")
        case ["peer", node, to]:
            return Address("peer", node, to)
        case ["svc", node, service, ("cmd" | "state") as leaf]:
            return Address(leaf, node, service)
        case _:
            return None


@lru_cache(maxsize=512)
def slug(service: str) -> str:
    """A service's name as a topic level: `Cisco DRF Local` is `Cisco_DRF_Local`."""
    return service.replace(" ", "_")
