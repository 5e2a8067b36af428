"""C-04."""

from datetime import timedelta

from ucmlab.scenarios import Lab, scenario

TOMCAT, CERTCN, LDAP = "Cisco Tomcat", "Cisco Certificate Change Notification", "ldap_authentication"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication tls C-04")
async def subscriber_down_during_upload(lab: Lab) -> None:
    """A CA is uploaded while sub2 is off: sub2 has it within one cycle of its boot.

    Rows wait for nobody: the publisher's database takes the upload, sub1 gets row and file (R-022). The node that is
    off pulls the row when it is back, and Change Notification writes the file when it compares at its start. The
    order of arrival is pub, sub1, sub2 (C-04, B.6). A directory whose CA it is can be asked for users' passwords where
    Cisco Tomcat was started after the file came: on sub2 last. There Change Notification takes ten minutes to come up,
    so Cisco Tomcat is there before the file is, and has to be restarted.
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Corp Root CA")
    ldap = await lab.peer("ldap.corp.test", await root.issue("ldap.corp.test"))
    await sub2.stop()

    async with lab.step("The root is uploaded on the publisher", expect="pub and sub1 get it, sub2 does not"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        lab.check(root.fingerprint in pub.files("tomcat-trust"), "the publisher has the file at once")
        lab.check(root.fingerprint not in sub1.files("tomcat-trust"), "sub1 not yet")
        await lab.wait("5m")
        lab.check(root.fingerprint in sub1.files("tomcat-trust"), "sub1 has the file after five minutes")
        lab.check(root.fingerprint not in sub2.database("tomcat-trust"), "sub2's replica on disk has no row")
        lab.check(root.fingerprint not in sub2.files("tomcat-trust"), "sub2's disk has no file")

    async with lab.step("Tomcat is restarted where the file is", expect="secure LDAP works there"):
        for node in (pub, sub1):
            (await node.restart(TOMCAT)).must_be("done")
            seen = await node.connect(ldap, LDAP)
            lab.check(seen.verdict == "trusted", f"{node.name} trusts the directory", seen)

    async with lab.step("An operation on the node that is off", expect="refused at once"):
        (await sub2.upload("tomcat-trust", root.pem)).must_be("refused", "node_down")

    async with lab.step("sub2 boots, Change Notification last", expect="the row by catching up, secure LDAP fails"):
        await lab.inject("service-slow", "sub2", service=CERTCN, takes="10m")
        await sub2.start()
        booted = lab.now
        await lab.wait_until(
            lambda: root.fingerprint in sub2.database("tomcat-trust"),
            within="5m",
            text="sub2 pulled the row within five minutes",
        )
        await lab.wait_until(lambda: sub2.services[TOMCAT] == "started", within="5m", text="Tomcat is up")
        seen = await sub2.connect(ldap, LDAP)
        lab.check((seen.verdict, seen.reason) == ("terminated", "unknown_ca"), "sub2 does not know the CA", seen)

    async with lab.step("Change Notification comes up", expect="the file, within one cycle of the boot"):
        lab.check(root.fingerprint not in sub2.files("tomcat-trust"), "sub2 has no file yet")
        await lab.wait_until(
            lambda: root.fingerprint in sub2.files("tomcat-trust"), within="30m", text="sub2 has the file"
        )
        took = lab.now - booted
        lab.check(took <= timedelta(minutes=30), "it came within one cycle of the boot", took)
        await lab.converged(within="31m")
        seen = await sub2.connect(ldap, LDAP)
        lab.check(seen.reason == "unknown_ca", "Tomcat goes on with what it loaded", seen)

    async with lab.step("Five minutes later", expect="every service of sub2 is up and has loaded its certificates"):
        await lab.wait("5m")
        lab.check(set(sub2.services.values()) <= {"started", "stopped", "not activated"}, "sub2's boot is over")

    async with lab.step("Tomcat is restarted on sub2", expect="secure LDAP works everywhere"):
        (await sub2.restart(TOMCAT)).must_be("done")
        for node in lab.nodes:
            seen = await node.connect(ldap, LDAP)
            lab.check(seen.verdict == "trusted", f"{node.name} trusts the directory", seen)
