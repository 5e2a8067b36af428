"""R-024."""

from ucmlab.scenarios import Lab, scenario

DIRSYNC = "Cisco DirSync"


@scenario(nodes="pub sub1", release="14SU2", tags="services tls")
async def secure_directory_sync(lab: Lab) -> None:
    """DirSync is to speak TLS with a directory whose CA nobody has uploaded.

    Cisco DirSync verifies the directory with tomcat-trust, and with the copy that it read when it started: the upload
    alone helps nothing, its restart does. The directory must be called by a name that is in its certificate.
    """
    pub, _ = lab.nodes
    root = await lab.ca("Directory Root CA")
    leaf = await root.issue("ldap.corp.test")
    ldap = await lab.peer("ldap.corp.test", leaf)
    (await lab.set_parameter("LDAP Server", ldap.fqdn)).must_be("done")
    (await lab.set_parameter("Use TLS", True)).must_be("done")

    async with lab.step("DirSync is not activated", expect="nobody there to connect"):
        seen = await pub.connect(ldap, "ldap")
        lab.check(seen.reason == "service_stopped", "the service is not started", seen)
    (await pub.enable_service(DIRSYNC)).must_be("done")
    (await pub.start_service(DIRSYNC)).must_be("done")

    async with lab.step("It connects, the directory's CA is nowhere", expect="it ends the handshake: unknown CA"):
        seen = await pub.connect(ldap, "ldap")
        lab.check((seen.verdict, seen.reason) == ("terminated", "unknown_ca"), "the directory is not trusted", seen)
        lab.check(seen.fingerprint == leaf.fingerprint, "it was seen what it presents", seen)

    async with lab.step("The CA is uploaded to tomcat-trust", expect="the file is there, DirSync has not read it"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.converged(within="31m")
        seen = await pub.connect(ldap, "ldap")
        lab.check(seen.reason == "unknown_ca", "DirSync goes on with what it loaded", seen)

    async with lab.step("Tomcat and DirSync are restarted", expect="the directory is trusted"):
        for service in ("Cisco Tomcat", DIRSYNC):
            (await pub.restart(service)).must_be("done")
        seen = await pub.connect(ldap, "ldap")
        lab.check(seen.verdict == "trusted", "the directory is trusted", seen)
        seen = await pub.connect(ldap, "ldap", name="directory.corp.test")
        lab.check(seen.reason == "name_mismatch", "by a name that is not in its certificate it is not", seen)
    await lab.converged(within="31m")
