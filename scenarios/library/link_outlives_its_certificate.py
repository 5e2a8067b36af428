"""C-59."""

from ucmlab.scenarios import Lab, scenario

DIRSYNC = "Cisco DirSync"


@scenario(nodes="pub sub1", release="14SU2", tags="revocation tls C-59")
async def link_outlives_its_certificate(lab: Lab) -> None:
    """A directory's certificate is revoked while DirSync is connected to it: the link stays, or ends hours later.

    A status is asked for when a connection is made. Links that last are checked again only with Certificate Validity
    Check on, and where Enable Revocation Check has an interval, that one counts and not Validity Check Frequency
    (R-192, R-193): six hours here, not 24.
    """
    pub, _ = lab.nodes
    root = await lab.ca("Directory Root CA")
    await root.responder()
    leaves = [await root.issue(f"{name}.corp.test") for name in ("one", "two")]
    one, two = [await lab.peer(f"{name}.corp.test", leaf) for name, leaf in zip(("one", "two"), leaves, strict=True)]
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")
    settings: dict[str, str | int] = {"Enable OCSP": True, "Enable Revocation Check": True, "Check Every": 6}
    for name, value in settings.items():
        (await pub.set_parameter(name, value)).must_be("done")
    (await lab.set_parameter("Validity Check Frequency", 24)).must_be("done")
    directory: dict[str, str | bool] = {"LDAP Server": one.fqdn, "Use TLS": True}
    for name, value in directory.items():
        (await lab.set_parameter(name, value)).must_be("done")
    (await pub.enable_service(DIRSYNC)).must_be("done")
    (await pub.start_service(DIRSYNC)).must_be("done")

    def linked() -> list[str]:
        return [link.to for link in pub.links()]

    async with lab.step("The first directory's certificate is revoked, the check is off", expect="the link stays"):
        await lab.wait("1m")
        synced = [each["outcome"] for each in lab.events("directory_sync", node="pub")]
        lab.check(synced == ["done"], "DirSync connects when it starts", synced)
        lab.check(linked() == [one.fqdn], "and stays connected", linked())
        await lab.wait("1h")
        await root.revoke(leaves[0])
        await lab.wait("25h")
        lab.check(linked() == [one.fqdn], "a day later it still is", linked())
        seen = await pub.connect(one, "ldap")
        lab.check(seen.reason == "revoked", "a new connection is refused", seen)

    async with lab.step("Certificate Validity Check is set, and the second one's is revoked an hour later"):
        (await lab.set_parameter("Certificate Validity Check", True)).must_be("done")
        lab.check((await pub.connect(two, "ldap")).verdict == "trusted", "DirSync connects to the second one")
        await lab.wait("1h")
        await root.revoke(leaves[1])
        await lab.wait("4h30m")
        lab.check(linked() == [one.fqdn, two.fqdn], "after five hours and a half both links stand", linked())

    async with lab.step("Six hours are over", expect="both links are dropped, long before the 24 hours"):
        await lab.wait("1h")
        lab.check(linked() == [], "no link stands", linked())
        reasons = [each["reason"] for each in lab.events("link_dropped", node="pub")]
        lab.check(reasons == ["revoked", "revoked"], "both were dropped because of their certificates", reasons)
    await lab.converged(within="31m")
