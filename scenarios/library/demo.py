"""The story to show first."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="demo replication services")
async def demo(lab: Lab) -> None:
    """A chain reaches every node, a dead node catches up, a service takes its orders over the bus, a delete is for all.

    Trust in tomcat-trust and CallManager-trust spreads by itself (R-022): certificate management writes its own
    files, the publisher's database takes the rows, database replication carries them, and Cisco Certificate Change
    Notification writes the files of the other nodes. A node that was away gets the rows when it comes back; for them
    there was no notice, so its files follow at Change Notification's comparison. One delete, on any node, reaches all
    servers (R-080) and cannot be undone (R-078).
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Corp Root CA")
    issuing = await lab.ca("Corp Issuing CA", parent=root)
    partner = await lab.ca("Partner Root CA")
    chain = {root.fingerprint, issuing.fingerprint}

    async with lab.step(
        "The chain of a third-party CA is uploaded on the publisher", expect="rows in seconds, files a little later"
    ):
        (await pub.upload("tomcat-trust", root.pem + issuing.pem, "Corp PKI")).must_be("done")
        lab.check(chain <= pub.files("tomcat-trust"), "the publisher wrote its own files first")
        lab.check(not chain & sub1.files("tomcat-trust"), "sub1 has no file yet")
        await lab.converged(within="2m")
        for node in (sub1, sub2):
            lab.check(chain <= node.files("tomcat-trust"), f"{node.name} has both certificates")

    async with lab.step("sub2 dies while a second upload is on its way", expect="sub1 gets it, the dead node does not"):
        (await pub.upload("CallManager-trust", partner.pem)).must_be("done")
        await sub2.kill()
        await lab.wait("2m")
        lab.check(partner.fingerprint in sub1.files("CallManager-trust"), "sub1 has the second CA")
        lab.check(partner.fingerprint not in sub2.files("CallManager-trust"), "sub2's disk does not have it")

    async with lab.step("sub2 starts again", expect="the row at once, the file when Change Notification compares"):
        await sub2.start()
        await lab.converged(within="31m")
        lab.check(partner.fingerprint in sub2.database("CallManager-trust"), "sub2 pulled the row that it had missed")
        lab.check(partner.fingerprint in sub2.files("CallManager-trust"), "and has the file")

    async with lab.step(
        "TFTP on sub1 is stopped and started from the publisher's Control Center", expect="it loads again"
    ):
        (await sub1.stop_service("Cisco Tftp")).must_be("done")
        lab.check(sub1.services["Cisco Tftp"] == "stopped", "TFTP on sub1 is stopped")
        lab.check(not sub1.loaded("Cisco Tftp"), "a stopped service holds no certificate")
        (await sub1.start_service("Cisco Tftp")).must_be("done")
        lab.check(sub1.loaded("Cisco Tftp")["tomcat"] == sub1.identity("tomcat"), "it loaded sub1's Tomcat certificate")
        orders = [message for message in lab.messages("cucm/v1/+/svc/sub1/+/cmd") if message.kind == "ServiceOrder"]
        lab.check(bool(orders), "the orders went over the bus")

    async with lab.step(
        "The issuing CA is deleted on sub1", expect="it goes everywhere and stays away; the root remains"
    ):
        (await sub1.delete("tomcat-trust", issuing.fingerprint)).must_be("done")
        await lab.converged(within="2m")
        gone = [node.name for node in lab.nodes if issuing.fingerprint not in node.files("tomcat-trust")]
        lab.check(gone == ["pub", "sub1", "sub2"], "no node has it any more", seen=f"gone on {gone}")
        await lab.holds(
            lambda: not any(issuing.fingerprint in node.files("tomcat-trust") for node in lab.nodes),
            during="61m",
            text="two comparisons later it has not come back",
        )
        lab.check(all(root.fingerprint in node.files("tomcat-trust") for node in lab.nodes), "the root is where it was")
