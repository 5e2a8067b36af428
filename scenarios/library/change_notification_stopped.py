"""C-05."""

from ucmlab.scenarios import Lab, scenario

CERTCN, CALLMANAGER = "Cisco Certificate Change Notification", "Cisco CallManager"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication services C-05")
async def change_notification_stopped(lab: Lab) -> None:
    """Change Notification is stopped on sub1: its database has the certificate, its files do not.

    Database and file system are two copies. Replication carries the row whether the service runs or not; only the
    service writes the file (B.6.6). OS Administration and services read files, so on sub1 the certificate is not
    there, and a database query says that it is. A SIP trunk with TLS whose other end that CA signed (here: the
    publisher) then fails for calls that leave sub1 alone. Started again, the service compares and writes what is
    missing; Cisco CallManager trusts by it after its next restart (C-05).
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

    async with lab.step(
        "The trunk's other end is signed by it", expect="calls that leave sub1 fail, the others do not"
    ):
        for identity in ("CallManager", "CallManager-ECDSA"):
            leaf = await root.sign((await pub.generate_csr(identity)).pem)
            (await pub.upload(identity, leaf.pem)).must_be("done")
        for node in lab.nodes:
            (await node.restart(CALLMANAGER)).must_be("done")
        call = await sub2.connect(pub, "sip")
        lab.check(call.verdict == "trusted", "a call from sub2 arrives", call)
        lab.check(
            call.fingerprint == pub.identity("CallManager-ECDSA"), "as both ends can do EC, that one is shown", call
        )
        call = await sub1.connect(pub, "sip")
        lab.check((call.verdict, call.reason) == ("terminated", "unknown_ca"), "a call from sub1 does not", call)

    async with lab.step("Change Notification is started on sub1", expect="it compares, and writes the file"):
        (await sub1.start_service(CERTCN)).must_be("done")
        await lab.wait_until(
            lambda: fingerprint in sub1.files(unit), within="30m", text="sub1 has the file within one cycle"
        )
        await lab.converged(within="31m")
        call = await sub1.connect(pub, "sip")
        lab.check(call.reason == "unknown_ca", "Cisco CallManager goes on with what it loaded", call)

    async with lab.step("Cisco CallManager is restarted on sub1", expect="calls that leave it arrive"):
        (await sub1.restart(CALLMANAGER)).must_be("done")
        call = await sub1.connect(pub, "sip")
        lab.check(call.verdict == "trusted", "a call from sub1 arrives", call)
        await lab.services_up(within="10m")
