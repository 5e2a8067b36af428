"""The publisher dies between appending to the log and telling anybody."""

from ucmlab.broker.messages import Head
from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication publisher")
async def publisher_killed_after_append(lab: Lab) -> None:
    """The publisher dies when the log has the upload and nobody has heard of it: it happened, and it happened once.

    The operator on sub1 gets no answer: `indefinite`, asked and not known. The log is durable, so the publisher finds
    the entry when it starts and everybody pulls it; sub1 finds its file named by a row and asks for nothing more.
    Were the upload proposed a second time, its operation id would be known. In the product the same moment lies
    between the commit in the publisher's database and the answer to certificate management (R-022).
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Corp Root CA")
    fingerprint, unit = root.fingerprint, "tomcat-trust"
    epoch, seq = head(lab)

    async with lab.step("The publisher dies after its next append; a CA is uploaded on sub1", expect="no answer"):
        await pub.kill(at="AppendLog")
        (await sub1.upload(unit, root.pem)).must_be("indefinite")
        lab.check(pub.state == "down", "the publisher is dead")
        lab.check(fingerprint in sub1.files(unit), "sub1 wrote its own file first")
        lab.check(fingerprint not in sub1.database(unit) | sub2.database(unit), "no subscriber has the row")

    async with lab.step("The publisher starts again", expect="the log has the upload, everybody gets it"):
        await pub.start()
        await lab.wait_until(
            lambda: fingerprint in pub.database(unit), within="5m", text="the publisher's log has the upload"
        )
        await lab.converged(within="61m")
        for node in lab.nodes:
            lab.check(
                fingerprint in node.files(unit) and fingerprint in node.database(unit), f"{node.name} has row and file"
            )

    async with lab.step("Two more cycles pass", expect="nothing is appended again"):
        await lab.wait("61m")
        lab.check(head(lab) == (epoch, seq + 1), "the log grew by this one upload", seen=head(lab))


def head(lab: Lab) -> tuple[int, int]:
    """Epoch and number of the newest entry, as the publisher last told on the bus."""
    heads = [told.message for told in lab.messages("cucm/v1/+/head") if isinstance(told.message, Head)]
    return heads[-1].epoch, heads[-1].seq
