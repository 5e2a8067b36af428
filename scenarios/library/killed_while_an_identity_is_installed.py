"""A subscriber dies between its new identity and the database."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="certificates replication")
async def killed_while_an_identity_is_installed(lab: Lab) -> None:
    """sub1 dies when its CA-signed certificate is in place and the database still names the self-signed one.

    Key and certificate are on disk, whole and together, and the request has had its use (R-020). The file system wins:
    at its next comparison sub1 puts its identity forward, and the row follows (R-021, B.6).
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")
    leaf = await root.sign((await sub1.generate_csr("tomcat")).pem)
    before = sub1.identity("tomcat")

    async with lab.step("sub1 dies right after it has put the certificate in place", expect="a file, and the old row"):
        await sub1.kill(at="InstallIdentity")
        (await sub1.upload("tomcat", leaf.pem)).must_be("indefinite")
        lab.check(sub1.state == "down", "sub1 is dead")
        lab.check(sub1.identity("tomcat") == leaf.fingerprint, "its disk has the new certificate")
        lab.check(pub.database("tomcat").isdisjoint({leaf.fingerprint}), "no row names it")
        lab.check(sub1.database("tomcat") == {before}, "sub1's own row is the old one")

    async with lab.step("sub1 starts again", expect="it has what is on its disk, and the row follows"):
        await sub1.start()
        await lab.converged(within="31m")
        lab.check(sub1.identity("tomcat") == leaf.fingerprint, "sub1 has the new certificate")
        lab.check(sub1.database("tomcat") == {leaf.fingerprint}, "one row names it, and it alone")
        (await sub1.upload("tomcat", leaf.pem)).must_be("refused", "csr_missing")
        await lab.wait("5m")
        lab.check(set(sub1.services.values()) <= {"started", "stopped", "not activated"}, "sub1's boot is over")
