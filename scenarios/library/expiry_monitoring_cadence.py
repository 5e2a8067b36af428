"""How often the expiry monitor looks, and the silence after its restart."""

from datetime import datetime
from itertools import pairwise

from ucmlab.scenarios import Lab, Node, scenario

MONITOR = "Cisco Certificate Expiry Monitor"


@scenario(nodes="pub sub1", release="14SU2", tags="monitoring certificates")
async def expiry_monitoring_cadence(lab: Lab) -> None:
    """A certificate on sub1 has eight days left, and somebody restarts the monitor 20 hours after its last run.

    The monitor looks every 24 hours, seven days before the end too (R-181, R-183). A restart of the service starts the
    24 hours anew, without a look (R-182): for 44 hours nobody hears of the certificate. Below 24 hours, and after the
    end, it looks every hour (R-184), until the certificate is renewed.
    """
    _, sub1 = lab.nodes

    async with lab.step("tomcat on sub1 is about to end in eight days", expect="a run a day"):
        (await sub1.age("tomcat", "8d")).must_be("done")
        await lab.converged(within="31m")
        await lab.wait("24h")
        lab.check(gaps(lab, sub1) == [24], "sub1 looked again after 24 hours", gaps(lab, sub1))
        lab.check(told(lab, sub1)[-1:] == ["CertValidLessThanMonth"], "it told of what ends in less than 30 days")

    async with lab.step("The monitor is restarted 20 hours after that run", expect="no run for another 24 hours"):
        await lab.wait("20h")
        heard = len(told(lab, sub1))
        (await sub1.restart(MONITOR)).must_be("done")
        await lab.wait("23h")
        lab.check(len(told(lab, sub1)) == heard, "nothing was heard from sub1 since")
        await lab.wait("2h")
        lab.check(gaps(lab, sub1) == [24, 44], "a silence of 44 hours", gaps(lab, sub1))
        lab.check(told(lab, sub1)[-1:] == ["CertValidfor7days"], "it told of what ends in less than seven days")

    async with lab.step("The last days pass", expect="once a day, and every hour below 24 hours"):
        await lab.wait_until(lambda: gaps(lab, sub1)[-1] == 1, within="6d")
        lab.check(gaps(lab, sub1) == [24, 44, 24, 24, 24, 24, 24, 1], "daily, then hourly", gaps(lab, sub1))
        lab.check(told(lab, sub1)[-1:] == ["CertValidLessThanADay"], "it told of what ends in less than a day")

    async with lab.step("It ends", expect="every hour still"):
        await lab.wait("6h")
        lab.check(set(gaps(lab, sub1)[7:]) == {1}, "every hour", gaps(lab, sub1))
        lab.check(told(lab, sub1)[-1:] == ["CertExpired"], "it told of what has ended")
        lab.check(not lab.mail(), "nobody got mail: it is off")

    async with lab.step("tomcat is renewed", expect="one more run after an hour, then one a day"):
        (await sub1.regenerate("tomcat")).must_be("done")
        await lab.converged(within="31m")
        looked = len(gaps(lab, sub1))
        heard = len(told(lab, sub1))
        await lab.wait("50h")
        lab.check(gaps(lab, sub1)[looked:] == [1, 24, 24], "the run that finds nothing, and two more", gaps(lab, sub1))
        lab.check(len(told(lab, sub1)) == heard, "it has nothing to tell any more")


def runs(lab: Lab, node: Node) -> list[datetime]:
    """When a node's monitor looked."""
    return [datetime.fromisoformat(str(event["at"])) for event in lab.events("monitor_run", node)]


def gaps(lab: Lab, node: Node) -> list[int]:
    """Hours between its runs: a service takes seconds to come up, and people take some to restart it."""
    return [round((later - sooner).total_seconds() / 3600) for sooner, later in pairwise(runs(lab, node))]


def told(lab: Lab, node: Node) -> list[str]:
    """What a node's monitor said by syslog of its tomcat."""
    about = "Certificate name:tomcat.der Unit:tomcat "
    return [each.message_id for each in lab.syslog() if each.node == node.name and about in each.text]
