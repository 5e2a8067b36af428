"""C-05."""

from ucmlab.scenarios import Lab, scenario

CERTCN = "Cisco Certificate Change Notification"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication services C-05")
async def change_notification_stopped(lab: Lab) -> None:
    """Change Notification is stopped on sub1: its database has the certificate, its files do not.

    Database and file system are two copies. Replication carries the row whether the service runs or not; only the
    service writes the file (B.6.6). OS Administration and services read files, so on sub1 the certificate is not
    there, and a database query says that it is. Started again, the service compares and writes what is missing
    (C-05).

    Left to a later issue: the SIP trunk that fails for calls leaving sub1, and the restart of Cisco CallManager.
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Trunk Root CA")
    fingerprint, unit = root.fingerprint, "CallManager-trust"

    async with lab.step("Change Notification is stopped on sub1"):
        (await sub1.stop_service(CERTCN)).must_be("done")

    async with lab.step("A CA is uploaded on the publisher", expect="sub1 gets the row and no file, sub2 gets both"):
        (await pub.upload(unit, root.pem)).must_be("done")
        await lab.wait("5m")
        lab.check(fingerprint in sub2.database(unit) and fingerprint in sub2.files(unit), "sub2 has row and file")
        lab.check(fingerprint in sub1.database(unit), "sub1's database has the row")
        await lab.holds(
            lambda: fingerprint in sub1.database(unit) and fingerprint not in sub1.files(unit),
            during="61m",
            text="sub1's files do not follow while the service is stopped",
        )

    async with lab.step("Change Notification is started on sub1", expect="it compares, and writes the file"):
        (await sub1.start_service(CERTCN)).must_be("done")
        await lab.wait_until(
            lambda: fingerprint in sub1.files(unit), within="30m", text="sub1 has the file within one cycle"
        )
        await lab.converged(within="31m")
