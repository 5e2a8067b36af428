"""One story a fault: a cluster at work while something is wrong with it, told in either mode."""

from contextlib import suppress
from dataclasses import dataclass, field

from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios import Lab, scenario
from ucmlab.scenarios.labs import run_story
from ucmlab.scenarios.result import Mode, Options, Result
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Check

TOMCAT = "Cisco Tomcat"


@dataclass(frozen=True)
class Tried:
    """How a row is tried."""

    target: str = "sub1"
    given: dict[str, str] = field(default_factory=dict[str, str])
    late: bool = False
    """After the work, which it would else not touch."""
    dies: bool = False
    """Whether sub1 dies meanwhile, and lives again."""
    count: int | None = None
    until: str | None = None


def story_of(fault: str, tried: Tried) -> Story:
    """Work, break, work on, mend, and wait until the cluster is one again."""

    async def under(lab: Lab) -> None:
        """A cluster at work while something is wrong with it."""
        pub, sub1, sub2 = lab.nodes
        roots = [await lab.ca(f"Root {number}") for number in range(3)]
        (await pub.upload("tomcat-trust", roots[0].pem)).must_be("done")
        if tried.late:
            await sub1.upload("tomcat-trust", roots[1].pem)
        await lab.inject(fault, tried.target, count=tried.count, until=tried.until, **tried.given)
        if tried.dies:
            await sub1.kill()
            await sub1.start()
        if not tried.late:
            await pub.upload("tomcat-trust", roots[1].pem)
        await sub2.upload("tomcat-trust", roots[2].pem)
        if sub1.state == "up":
            await sub1.restart(TOMCAT)
        await lab.wait("5m")
        with suppress(Unusable):  # it happened once, or ended by itself
            await lab.end_fault(fault, tried.target)
        for node in lab.nodes:
            if node.state == "down":
                await node.start()
        await lab.wait("65m")
        await lab.converged(within="31m")
        lab.check(True, f"{fault} is over")

    return scenario(nodes="pub sub1 sub2", timing="instant")(under)


def told(story: Story, mode: Mode, *, broker: str = "embedded") -> Result:
    """Tell it."""
    return run_story(story, Options(mode=mode, broker=broker), lambda _entry, _began: None)


def judged(result: Result) -> list[tuple[str, bool]]:
    """What was checked."""
    return [(entry.text, entry.held) for entry in result.entries if isinstance(entry, Check)]
