"""A network that falls apart, and a broker that is gone."""

from ucmlab.cluster.faults.ledger import Injected, broker_group, groups_of
from ucmlab.cluster.sim.faults.stage import Stage, Way


def _partition(stage: Stage, injected: Injected) -> None:
    groups = groups_of(injected.target)
    stage.world.network.partition(groups, broker_group(injected.text("broker"), groups))
    stage.world.reachability_changed()
    stage.took_effect(injected)


def _isolate(stage: Stage, injected: Injected) -> None:
    stage.world.network.isolate(injected.target)
    stage.world.reachability_changed()
    stage.took_effect(injected)


def _heal(stage: Stage, _injected: Injected) -> None:
    stage.world.network.heal()
    stage.world.reachability_changed()


def _rejoin(stage: Stage, injected: Injected) -> None:
    stage.world.network.heal(injected.target)
    stage.world.reachability_changed()


def _kill_broker(stage: Stage, injected: Injected) -> None:
    if stage.world.broker.up:
        stage.world.broker.kill(keep_retained=injected.text("keeps") == "retained")
        stage.took_effect(injected)


def _start_broker(stage: Stage, _injected: Injected) -> None:
    if not stage.world.broker.up:
        stage.world.broker.start()


ROWS = {
    "partition": Way(_partition, _heal),
    "isolate": Way(_isolate, _rejoin),
    "broker-kill": Way(_kill_broker, _start_broker),
}
