"""R-159, R-168."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="revocation")
async def revoked_on_upload(lab: Lab) -> None:
    """A certificate on hold is uploaded with OCSP on; then the hold is lifted.

    The node asks the responder that the certificate names, after all other checks and before anything is written
    (B.10). Revoked is refused whatever the mode; what was on hold comes in once it is released.
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    ocsp = await root.responder("delegated")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    reply = await pub.set_parameter("Enable OCSP", True)
    reply.must_be("done")
    lab.check(len(reply.warnings) == 1, "who enables it is warned: tomcat-trust has nobody for signing answers (R-186)")
    await lab.converged(within="31m")
    leaf = await root.issue("ldap.corp.test")
    await root.revoke(leaf, "certificateHold")

    async with lab.step("It is uploaded while on hold", expect="refused, nothing written, one query"):
        (await sub1.upload("tomcat-trust", leaf.pem)).must_be("refused", "revoked")
        lab.check(leaf.fingerprint not in sub1.files("tomcat-trust"), "sub1 has no file")
        lab.check([query.status for query in ocsp.queries] == ["revoked"], "the responder was asked once")

    await root.unhold(leaf)
    async with lab.step("The hold is lifted and it is uploaded again", expect="done, and everywhere"):
        (await sub1.upload("tomcat-trust", leaf.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(leaf.fingerprint in pub.files("tomcat-trust"), "the publisher has it too")
        lab.check([query.status for query in ocsp.queries] == ["revoked", "good"], "one more query")
