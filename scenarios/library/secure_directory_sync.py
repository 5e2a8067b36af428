"""R-024."""

from ucmlab.scenarios import Lab, scenario

DIRSYNC = "Cisco DirSync"


@scenario(nodes="pub sub1", release="14SU2", tags="services tls")
async def secure_directory_sync(lab: Lab) -> None:
    """DirSync is to speak TLS with a directory whose CA nobody has uploaded.

    Cisco DirSync connects to the directory that is set whenever it starts, and then at an interval. It verifies it with
    tomcat-trust, and with the copy that it read when it started: the upload alone helps nothing, its restart does. The
    directory must be called by a name that is in its certificate.
    """
    pub, _ = lab.nodes
    root = await lab.ca("Directory Root CA")
    leaf = await root.issue("ldap.corp.test")
    ldap = await lab.peer("ldap.corp.test", leaf)
    (await pub.enable_service(DIRSYNC)).must_be("done")
    (await lab.set_parameter("LDAP Server", ldap.fqdn)).must_be("done")
    (await lab.set_parameter("Perform a Re-sync Every", 6)).must_be("done")

    def last() -> tuple[object, object]:
        told = lab.events("directory_sync", node="pub")
        return (told[-1]["outcome"], told[-1]["reason"]) if told else ("", "")

    async def restart() -> None:
        (await pub.restart(DIRSYNC)).must_be("done")
        await lab.wait("1m")

    async with lab.step("DirSync is started without TLS", expect="no certificate is looked at"):
        (await pub.start_service(DIRSYNC)).must_be("done")
        await lab.wait("1m")
        lab.check(last() == ("unsecured", "") and not lab.events("handshake"), "there is no handshake", last())

    async with lab.step("TLS is turned on, the directory's CA is nowhere", expect="it ends the handshake: unknown CA"):
        (await lab.set_parameter("Use TLS", True)).must_be("done")
        await restart()
        lab.check(last() == ("failed", "unknown_ca"), "the directory is not trusted", last())
        seen = lab.events("handshake", node="pub")[-1]
        lab.check(seen["peer"] == leaf.fingerprint, "it was seen what it presents", seen)

    async with lab.step("The CA is uploaded to tomcat-trust", expect="the file is there, DirSync has not read it"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.converged(within="31m")
        await lab.wait("6h")
        lab.check(last() == ("failed", "unknown_ca"), "six hours later DirSync goes on with what it loaded", last())
        alarms = [each["alarm"] for each in lab.events("alarm", node="pub")]
        lab.check(alarms == ["directory_sync_failed"] * 2, "there was an alarm each time", alarms)

    async with lab.step("Tomcat and DirSync are restarted", expect="the directory is trusted"):
        (await pub.restart("Cisco Tomcat")).must_be("done")
        await restart()
        lab.check(last() == ("done", ""), "the directory is trusted", last())
        lab.check([link.to for link in pub.links()] == [ldap.fqdn], "DirSync stays connected to it", pub.links())

    async with lab.step("The same server is set by another of its names", expect="it is not in its certificate"):
        alias = await lab.peer("directory.corp.test", leaf)
        (await lab.set_parameter("LDAP Server", alias.fqdn)).must_be("done")
        await restart()
        lab.check(last() == ("failed", "name_mismatch"), "by that name it is not trusted", last())

    async with lab.step("The directory is down when DirSync starts", expect="the run fails, and waits for nobody"):
        (await lab.set_parameter("LDAP Server", ldap.fqdn)).must_be("done")
        await ldap.stop()
        await restart()
        lab.check(last() == ("failed", "unreachable"), "nobody is there", last())
        await ldap.start()
        await lab.wait("6h")
        lab.check(last() == ("done", ""), "the next run, six hours later, finds it again", last())
    await lab.converged(within="31m")
