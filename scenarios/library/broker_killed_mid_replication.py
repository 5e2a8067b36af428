"""The bus dies between the publisher's log and the subscribers."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication broker bus")
async def broker_killed_mid_replication(lab: Lab) -> None:
    """The broker is killed right after an upload: what the log has is not lost, whoever missed it asks for it.

    The broker carries, it does not keep: the publisher's log is durable before the answer, so `done` holds however
    the message fares. Without the bus a subscriber knows that the publisher's database is out of reach, and an upload
    there ends by half. When the bus is back, replicas pull what they lack. For those rows there was no
    notice, so the files wait for the comparison, 30 minutes at most (R-022).
    """
    pub, sub1, sub2 = lab.nodes
    first, second, third = await lab.ca("First Root CA"), await lab.ca("Second Root CA"), await lab.ca("Third Root CA")
    unit = "tomcat-trust"
    everything = {first.fingerprint, second.fingerprint, third.fingerprint}

    async with lab.step("The broker dies right after an upload on the publisher"):
        (await pub.upload(unit, first.pem)).must_be("done")
        await lab.broker.kill()

    async with lab.step(
        "Uploads without a bus", expect="done on the publisher, whose database is its own; partial on sub1"
    ):
        (await pub.upload(unit, second.pem)).must_be("done")
        (await sub1.upload(unit, third.pem)).must_be("partial", "publisher_unreachable")
        await lab.holds(
            lambda: not {second.fingerprint, third.fingerprint} & (sub2.files(unit) | sub2.database(unit)),
            during="31m",
            text="while there is no bus, sub2 learns of neither",
        )

    async with lab.step("The broker is started, empty", expect="rows soon, files within one cycle, nothing is lost"):
        await lab.broker.start()
        await lab.wait_until(
            lambda: all({first.fingerprint, second.fingerprint} <= node.database(unit) for node in lab.nodes),
            within="5m",
            text="every replica has the publisher's two rows within five minutes",
        )
        await lab.wait_until(
            lambda: all(everything <= node.files(unit) for node in lab.nodes),
            within="31m",
            text="every node has all three files within one cycle",
        )
        await lab.converged(within="31m")
