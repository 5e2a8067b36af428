"""C-16."""

from ucmlab.scenarios import Lab, scenario

TOMCAT = "Cisco Tomcat"


@scenario(nodes="pub sub1", release="14SU2", tags="certificates services C-16")
async def upload_without_restart(lab: Lab) -> None:
    """A CA-signed tomcat is uploaded on sub1 and Tomcat is not restarted: the list has the new one, the wire the old.

    A service reads its certificate when it starts and keeps it until the next start, whatever becomes of the files. So
    certificate lists show the new serial number, and browsers go on warning. Once Cisco Tomcat is restarted, the page
    presents the new certificate (R-141, C-16).
    """
    sub1 = lab.node("sub1")
    root = await lab.ca("Corp Root CA")
    before = sub1.identity("tomcat")

    async with lab.step("A CA signs tomcat of sub1, and it is uploaded", expect="what is presented stays the same"):
        (await sub1.upload("tomcat-trust", root.pem)).must_be("done")
        leaf = await root.sign((await sub1.generate_csr("tomcat")).pem)
        (await sub1.upload("tomcat", leaf.pem)).must_be("done")
        listed = [each.certificate.fingerprint for each in sub1.certificates("tomcat")]
        lab.check(listed == [leaf.fingerprint], "the list has the new certificate", listed)
        await lab.holds(
            lambda: sub1.loaded(TOMCAT)["tomcat"] == before, during="61m", text="Tomcat goes on with what it loaded"
        )
        for port in (443, 8443):
            seen = await sub1.tls(port)
            lab.check(seen.fingerprint == before, f"port {port} presents the old certificate", seen)
            lab.check(seen.reason == "unknown_ca", "a browser that has the CA warns as before", seen)
        lab.check("tomcat" in sub1.pending().get(TOMCAT, []), "the restart is pending", dict(sub1.pending()))

    async with lab.step("Cisco Tomcat is restarted", expect="the page presents the new certificate"):
        (await sub1.restart(TOMCAT)).must_be("done")
        for port in (443, 8443):
            seen = await sub1.tls(port)
            lab.check(seen.fingerprint == leaf.fingerprint, f"port {port} presents the new certificate", seen)
            lab.check(seen.verdict == "trusted", "and a browser that has the CA is content", seen)
        lab.check("tomcat" not in sub1.pending().get(TOMCAT, []), "nothing of it is pending", dict(sub1.pending()))
        await lab.services_up(within="10m")
