"""C-41."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="certificates CSR C-41")
async def leaf_without_a_csr(lab: Lab) -> None:
    """The certificate that was issued for the publisher is uploaded on sub1, where no request waits.

    A single-node certificate belongs to the node that asked for it, and each node asks for its own (R-029): without a
    request the upload ends before anything is compared. A certificate that was installed has consumed its request
    (R-020), so a second upload of it ends in the same way.
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")
    leaf = await root.sign((await pub.generate_csr("tomcat")).pem)
    before = {node.name: node.identity("tomcat") for node in lab.nodes}

    async with lab.step("The publisher's leaf is uploaded on sub1", expect="there is no request there"):
        refused = await sub1.upload("tomcat", leaf.pem)
        refused.must_be("refused", "csr_missing")
        lab.check(refused.text.endswith("/tomcat/keys/tomcat.csr does not exist"), "the product names the file")
        lab.check({node.name: node.identity("tomcat") for node in lab.nodes} == before, "no identity changed")

    async with lab.step("It is uploaded where it belongs, twice", expect="once it fits, then its request is gone"):
        (await pub.upload("tomcat", leaf.pem)).must_be("done")
        (await pub.upload("tomcat", leaf.pem)).must_be("refused", "csr_missing")
        lab.check(pub.identity("tomcat") == leaf.fingerprint, "the publisher has it")
        lab.check(sub1.identity("tomcat") == before["sub1"], "and sub1 is self-signed as before (R-029)")

    async with lab.step("sub1 asks for its own"):
        own = await root.sign((await sub1.generate_csr("tomcat")).pem)
        (await sub1.upload("tomcat", own.pem)).must_be("done")
        lab.check(sub1.identity("tomcat") == own.fingerprint, "sub1 has it")
        await lab.converged(within="31m")
