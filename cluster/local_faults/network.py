"""A network that falls apart, and a broker that is gone."""

from ucmlab.cluster.faults.ledger import Injected, broker_group, groups_of
from ucmlab.cluster.local_faults.stage import LocalStage, Way


async def _partition(stage: LocalStage, injected: Injected) -> None:
    groups = groups_of(injected.target)
    stage.roster.network.partition(groups, broker_group(injected.text("broker"), groups))
    stage.roster.obey_network()
    stage.took_effect(injected)


async def _isolate(stage: LocalStage, injected: Injected) -> None:
    stage.roster.network.isolate(injected.target)
    stage.roster.obey_network()
    stage.took_effect(injected)


async def _heal(stage: LocalStage, _injected: Injected) -> None:
    stage.roster.network.heal()
    stage.roster.obey_network()


async def _rejoin(stage: LocalStage, injected: Injected) -> None:
    stage.roster.network.heal(injected.target)
    stage.roster.obey_network()


async def _kill_broker(stage: LocalStage, injected: Injected) -> None:
    stage.lab.own_broker("killed")
    broker = stage.roster.broker_node
    if not broker.alive:
        return
    if injected.text("keeps") == "retained":
        await stage.roster.keep_retained()
    await stage.roster.kill(broker)
    stage.took_effect(injected)


async def _start_broker(stage: LocalStage, _injected: Injected) -> None:
    if not stage.roster.broker_node.alive:
        stage.roster.start_broker()


ROWS = {
    "partition": Way(_partition, _heal),
    "isolate": Way(_isolate, _rejoin),
    "broker-kill": Way(_kill_broker, _start_broker),
}
