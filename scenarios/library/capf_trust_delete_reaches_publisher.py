"""C-11, the stores."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication CAPF C-11")
async def capf_trust_delete_reaches_publisher(lab: Lab) -> None:
    """Somebody tidies CAPF-trust on sub1 and takes the CA away from the publisher, where CAPF needs it.

    Importing into CAPF-trust is local (R-083), deleting from it reaches every node that holds the certificate
    (R-080): the asymmetry of X-04. There is no undo but another import (R-078).

    Left to a later issue: the LSC renewals that fail next morning (C-11).
    """
    pub, sub1, _ = lab.nodes
    root = await lab.ca("LSC Issuing CA")
    fingerprint, unit = root.fingerprint, "CAPF-trust"

    async with lab.step("The CA is imported on the publisher and on sub1"):
        (await pub.upload(unit, root.pem)).must_be("done")
        (await sub1.upload(unit, root.pem)).must_be("done")
        await lab.converged(within="31m")
        holders = [node.name for node in lab.nodes if fingerprint in node.files(unit)]
        lab.check(holders == ["pub", "sub1"], "pub and sub1 hold it, sub2 does not", seen=holders)

    async with lab.step("It is deleted on sub1", expect="it is gone on sub1 only? no: on the publisher too"):
        (await sub1.delete(unit, fingerprint)).must_be("done")
        await lab.wait("2m")
        lab.check(fingerprint not in sub1.files(unit), "sub1 does not have it any more")
        lab.check(fingerprint not in pub.files(unit), "and neither does the publisher")
        await lab.holds(
            lambda: not any(fingerprint in node.files(unit) | node.database(unit) for node in lab.nodes),
            during="61m",
            text="no comparison brings it back",
        )
        copies = [node.name for node in lab.nodes if fingerprint in node.files("CallManager-trust")]
        lab.check(copies == ["pub", "sub1", "sub2"], "the copies in CallManager-trust stay: another unit", seen=copies)

    async with lab.step("It is imported on the publisher again"):
        (await pub.upload(unit, root.pem)).must_be("done")
        lab.check(fingerprint in pub.files(unit), "the publisher has it again")
        await lab.converged(within="31m")
