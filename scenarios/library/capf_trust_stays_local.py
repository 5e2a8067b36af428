"""C-10, the stores."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication CAPF C-10")
async def capf_trust_stays_local(lab: Lab) -> None:
    """A CA is imported into CAPF-trust on sub1, where CAPF does not run: it stays there and helps nobody.

    CAPF-trust is not on Change Notification's list: what is imported works on that node only (R-083). CAPF runs on
    the publisher, so the CA of its online mode must be imported there. On the publisher the upload goes to
    CallManager-trust as well, and that unit replicates (R-019, X-05).

    Left to a later issue: the LSC request that fails before and succeeds after (C-10).
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("LSC Issuing CA")
    fingerprint, unit = root.fingerprint, "CAPF-trust"

    async with lab.step("The CA is imported on sub1", expect="it never leaves sub1"):
        (await sub1.upload(unit, root.pem)).must_be("done")
        lab.check(fingerprint in sub1.files(unit), "sub1 has it")
        await lab.holds(
            lambda: fingerprint not in pub.files(unit) | sub2.files(unit),
            during="90m",
            text="ninety minutes later pub and sub2 do not have it",
        )
        lab.check(fingerprint not in pub.database(unit), "and the row does not name the publisher")

    async with lab.step("It is imported on the publisher", expect="now CAPF has it, and CallManager-trust everywhere"):
        (await pub.upload(unit, root.pem)).must_be("done")
        lab.check(fingerprint in pub.files(unit), "the publisher has it in CAPF-trust")
        await lab.converged(within="31m")
        lab.check(fingerprint not in sub2.files(unit), "sub2 does not have it in CAPF-trust")
        copied = [node.name for node in lab.nodes if fingerprint in node.files("CallManager-trust")]
        lab.check(copied == ["pub", "sub1", "sub2"], "every node has the copy in CallManager-trust", seen=copied)
