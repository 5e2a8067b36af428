"""C-49."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU1", tags="certificates multi-server upgrade C-49")
async def multi_san_by_command_line(lab: Lab) -> None:
    """A script imports the multi-server certificate by command line, as every year; since 14SU2 that is refused.

    From 14SU2 on, `set cert import own` takes no certificate with the names of several nodes (R-121). The request waits
    on, and OS Administration takes the very same certificate.
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")

    async with lab.step("Release 14SU1: the certificate for both nodes is imported", expect="it is taken"):
        first = await root.sign((await pub.generate_csr("tomcat", distribution="multi-server")).pem)
        (await pub.upload("tomcat", first.pem, by_cli=True)).must_be("done")
        await lab.wait_until(lambda: sub1.identity("tomcat") == first.fingerprint, within="5m", text="sub1 has it too")

    async with lab.step("The cluster is upgraded to 14SU2"):
        (await lab.upgrade("14SU2")).must_be("done")
        await lab.converged(within="2h")

    async with lab.step("The next one is imported in the same way", expect="refused, and no node changes"):
        second = await root.sign((await pub.generate_csr("tomcat", distribution="multi-server")).pem)
        refused = await pub.upload("tomcat", second.pem, by_cli=True)
        refused.must_be("refused", "multi_san_by_cli")
        found = {node.identity("tomcat") for node in lab.nodes}
        lab.check(found == {first.fingerprint}, "both nodes have the certificate of last year")

    async with lab.step("It is uploaded in OS Administration", expect="it is taken, and every node has it"):
        (await pub.upload("tomcat", second.pem)).must_be("done")
        await lab.wait_until(
            lambda: {node.identity("tomcat") for node in lab.nodes} == {second.fingerprint},
            within="5m",
            text="both nodes have the new one",
        )
        await lab.converged(within="31m")
