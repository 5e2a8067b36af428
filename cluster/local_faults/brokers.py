"""A broker that refuses what it should take, or publishes a will when it is stale: the embedded one alone does."""

from ucmlab.cluster.control_messages import Prod
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.local_faults.stage import LocalStage, Way


async def _refuse(stage: LocalStage, injected: Injected) -> None:
    broker = stage.roster.embedded("refuse a member's publishes")
    stage.node(injected).refused = True

    def refused(username: str) -> None:
        standing = stage.ledger.standing(injected.row.name, username)
        if standing is not None and not standing.uses:
            stage.took_effect(standing)

    broker.on_refused = refused
    stage.roster.obey_faults()


async def _take_again(stage: LocalStage, injected: Injected) -> None:
    node = stage.node(injected)
    node.refused = False
    stage.roster.obey_faults()
    stage.roster.act(node, Prod())  # a connection with a will was refused as well


async def _delay_will(stage: LocalStage, injected: Injected) -> None:
    broker = stage.roster.embedded("keep a will back")
    stage.node(injected).will_is_late = True

    def held(client: str) -> None:
        for standing in stage.ledger.all_standing():
            if standing.row.name == injected.row.name and stage.node(standing).client_id == client:
                due = stage.clock.now + standing.number("late")
                stage.clock.at(due, _release_will, stage, standing, client)

    broker.on_will_held = held
    stage.roster.obey_faults()


def _release_will(stage: LocalStage, injected: Injected, client: str) -> None:
    if not injected.over and stage.roster.broker == "up":
        stage.roster.acts += 1
        stage.roster.broker_node.release_will(client)
        stage.took_effect(injected)


async def _publish_wills(stage: LocalStage, injected: Injected) -> None:
    stage.node(injected).will_is_late = False
    stage.roster.obey_faults()


ROWS = {
    "broker-refuses": Way(_refuse, _take_again),
    "late-will": Way(_delay_will, _publish_wills),
}
