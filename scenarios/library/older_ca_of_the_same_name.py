"""C-46, the store; peers come later."""

from datetime import timedelta

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="certificates trust C-46")
async def older_ca_of_the_same_name(lab: Lab) -> None:
    """A second CA of the same name, with an earlier start date, is not installed.

    A store keeps one certificate of a common name, and the newer start wins (B.10): the older one is passed over, and
    whatever it signed stays untrusted. The product says nothing at all; here the reply tells, and so does the event
    `same_cn_older_start_ignored`. The fix is to delete the first, or to have the CA reissued under a name of its own.
    """
    pub, sub1 = lab.nodes
    unit = "tomcat-trust"
    newer = await lab.ca("Corp Root CA", not_before=lab.now - timedelta(days=100))
    older = await lab.ca("Corp Root CA", not_before=lab.now - timedelta(days=300), hash="sha384")
    (await pub.upload(unit, newer.pem)).must_be("done")
    await lab.converged(within="31m")

    async with lab.step("The older one is uploaded on sub1", expect="the store keeps the newer one"):
        (await sub1.upload(unit, older.pem)).must_be("refused", "same_cn_older_start")
        lab.check(bool(lab.events("same_cn_older_start_ignored", "sub1")), "an event tells of it")
        await lab.wait("31m")
        for node in lab.nodes:
            held = node.files(unit)
            lab.check(
                newer.fingerprint in held and older.fingerprint not in held, f"{node.name} has the newer one alone"
            )

    async with lab.step("The newer one is deleted first", expect="then the older one is taken, on every node"):
        (await pub.delete(unit, newer.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        (await sub1.upload(unit, older.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(all(older.fingerprint in node.files(unit) for node in lab.nodes), "every node has the older one")

    async with lab.step("Or the CA has a name of its own", expect="both stay"):
        second = await lab.ca("Corp Root CA - G2", not_before=lab.now - timedelta(days=200))
        (await pub.upload(unit, second.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check({older.fingerprint, second.fingerprint} <= sub1.files(unit), "sub1 has both")
