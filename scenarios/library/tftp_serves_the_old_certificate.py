"""C-18."""

from ucmlab.scenarios import Lab, scenario

TOMCAT, TFTP = "Cisco Tomcat", "Cisco Tftp"


@scenario(nodes="pub", release="14SU2", tags="certificates services C-18")
async def tftp_serves_the_old_certificate(lab: Lab) -> None:
    """A tomcat certificate is replaced and Tomcat restarted, but not TFTP: over HTTPS it serves the old one.

    TFTP has a copy of the tomcat certificate of its own, and the guide tells of its restart in a note, in none of its
    lists. Whoever fetches files over HTTPS sees the old self-signed certificate until Cisco Tftp is restarted (R-071,
    C-18).
    """
    pub = lab.node("pub")
    root = await lab.ca("Corp Root CA")
    before = pub.identity("tomcat")

    async with lab.step("tomcat is replaced, and Cisco Tomcat restarted", expect="TFTP serves the old certificate"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        leaf = await root.sign((await pub.generate_csr("tomcat")).pem)
        (await pub.upload("tomcat", leaf.pem)).must_be("done")
        (await pub.restart(TOMCAT)).must_be("done")
        lab.check((await pub.tls(TOMCAT)).fingerprint == leaf.fingerprint, "Tomcat presents the new certificate")
        seen = await pub.tls(TFTP)
        lab.check(seen.fingerprint == before, "TFTP presents the old one", seen)
        lab.check(seen.reason == "unknown_ca", "whoever has the CA alone does not trust it", seen)
        lab.check("tomcat" in pub.pending().get(TFTP, []), "a restart of it is pending", dict(pub.pending()))

    async with lab.step("Cisco Tftp is restarted", expect="both present the new certificate"):
        (await pub.restart(TFTP)).must_be("done")
        seen = await pub.tls(TFTP)
        lab.check((seen.fingerprint, seen.verdict) == (leaf.fingerprint, "trusted"), "TFTP presents it too", seen)
        lab.check(TFTP not in pub.pending(), "nothing of it is pending", dict(pub.pending()))
        await lab.services_up(within="10m")
