"""The cluster image: what a fresh installation leaves on every disk, made once per topology and shared by all seeds."""

from functools import lru_cache

import msgspec
from msgspec.structs import replace

from ucmlab.broker.codec import BusCodec, Memo
from ucmlab.broker.signing import KeyedHashSigner, KeyedHashVerifier
from ucmlab.cluster.sim.lab import START_OF_LAB, configs_of
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.config import NodeConfig, Policy
from ucmlab.node.events import DiskImage, ReplicaImage
from ucmlab.node.instant import MINUTE
from ucmlab.node.row_table import RowTable, table_of

DEFAULT_NODES = ("pub", "sub1", "sub2", "sub3", "tftp1", "imp1")
SETTLING = 10 * MINUTE


class ClusterImage(msgspec.Struct, frozen=True):
    """Configurations and disks of an installed cluster; `memo` holds its opened messages, `wall` when it stood.

    `table` is what its databases share, kept so that every seed's nodes find the rows of their disks indexed.
    """

    configs: tuple[NodeConfig, ...]
    disks: dict[str, DiskImage]
    memo: Memo
    wall: int
    table: RowTable


@lru_cache(maxsize=8)
def cluster_image(
    nodes: tuple[str, ...] = DEFAULT_NODES,
    release: str = "14SU2",
    replication: Policy = "modern",
    *,
    beyond_product: bool = False,
) -> ClusterImage:
    """Install a cluster in virtual time and keep its disks.

    Raises:
        Unusable: there can be no such cluster.
    """
    settings = Settings(nodes=nodes, release=release, replication=replication, beyond_product=beyond_product)
    configs = configs_of(topology(settings), seed=0)
    memo: Memo = {}
    world = World(configs, {}, seed=0, wall=START_OF_LAB, memo=memo)
    world.broker.start()
    for config in configs:
        world.start_node(config.name)
    world.run_until(SETTLING)
    for config in configs:
        world.stop_node(config.name)
    disks = {name: node.disk.image() for name, node in world.nodes.items()}
    table = table_of(disks[configs[0].name].replica.rows)
    shared = {name: replace(image, replica=_on_table(image.replica, table)) for name, image in disks.items()}
    return ClusterImage(configs, shared, memo, START_OF_LAB + SETTLING, table)


def _on_table(replica: ReplicaImage, table: RowTable) -> ReplicaImage:
    """The same database; its rows are the table's own, if they are the same in the same order."""
    rows = table.in_order()
    return replace(replica, rows=rows) if replica.rows == rows else replica


def reader(image: ClusterImage) -> BusCodec:
    """Opens what the cluster's members sealed; for who watches."""
    secret = image.configs[0].cluster.encode()
    members = {config.name: None for config in image.configs}
    return BusCodec(
        cluster=image.configs[0].cluster,
        sender="monitor",
        boot=0,
        signer=KeyedHashSigner("monitor", secret),
        verifier=KeyedHashVerifier(members, secret),
        memo=dict(image.memo),
    )
