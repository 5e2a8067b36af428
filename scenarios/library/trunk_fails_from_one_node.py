"""C-05, the calls."""

from ucmlab.scenarios import Lab, scenario

CERTCN, CALLMANAGER, UNIT = "Cisco Certificate Change Notification", "Cisco CallManager", "CallManager-trust"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication services tls C-05")
async def trunk_fails_from_one_node(lab: Lab) -> None:
    """A SIP trunk with TLS to another company fails for calls that leave sub1, where Change Notification is stopped.

    The trunk is the cluster's, but each node that calls verifies the other end with its own files. sub1's database has
    the CA, so the page and the node disagree. Once the service runs again the file follows; Cisco CallManager reads it
    at its next start (C-05).
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Carrier Root CA")
    carrier = await lab.peer("sbc.carrier.test", await root.issue("sbc.carrier.test"))
    (await sub1.stop_service(CERTCN)).must_be("done")

    async with lab.step("The carrier's CA is uploaded and Cisco CallManager restarted everywhere"):
        (await pub.upload(UNIT, root.pem)).must_be("done")
        await lab.wait("5m")
        lab.check(root.fingerprint in sub1.database(UNIT) - sub1.files(UNIT), "sub1 has the row and no file")
        for node in lab.nodes:
            (await node.restart(CALLMANAGER)).must_be("done")

    async with lab.step("Calls leave every node", expect="those from sub1 fail, and no others"):
        for node in (pub, sub2):
            call = await node.connect(carrier, "sip")
            lab.check(call.verdict == "trusted", f"a call from {node.name} arrives", call)
        call = await sub1.connect(carrier, "sip")
        lab.check((call.verdict, call.reason) == ("terminated", "unknown_ca"), "a call from sub1 does not", call)

    async with lab.step("Change Notification is started on sub1", expect="the file comes, calls go on failing"):
        (await sub1.start_service(CERTCN)).must_be("done")
        await lab.wait_until(
            lambda: root.fingerprint in sub1.files(UNIT), within="30m", text="sub1 has the file within one cycle"
        )
        call = await sub1.connect(carrier, "sip")
        lab.check(call.reason == "unknown_ca", "Cisco CallManager goes on with what it loaded", call)

    async with lab.step("Cisco CallManager is restarted on sub1", expect="its calls arrive"):
        (await sub1.restart(CALLMANAGER)).must_be("done")
        call = await sub1.connect(carrier, "sip")
        lab.check(call.verdict == "trusted", "a call from sub1 arrives", call)
    await lab.converged(within="31m")
