"""C-43."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="certificates CSR C-43")
async def ca_changed_the_san(lab: Lab) -> None:
    """The CA adds a `www.` name of its own, and the certificate is refused.

    The alternative names of request and certificate must be the same set; their order does not matter. The request and
    the old identity stay, so the CA only needs to sign it once more.
    """
    pub, _ = lab.nodes
    root = await lab.ca("Public Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    before = pub.identity("tomcat")
    csr = (await pub.generate_csr("tomcat", san=("ucm.lab.test",))).pem

    async with lab.step("The CA adds a name, and another time leaves one out", expect="refused both times"):
        for names in (("pub.lab.test", "ucm.lab.test", "www.ucm.lab.test"), ("pub.lab.test",)):
            leaf = await root.sign(csr, san=names)
            refused = await pub.upload("tomcat", leaf.pem)
            refused.must_be("refused", "san_mismatch")
            lab.check(refused.text == "CSR SAN and Certificate SAN does not match", "the product's words")
        lab.check(pub.identity("tomcat") == before, "the identity is the old one")

    async with lab.step("The CA signs what was asked for, names turned round", expect="order is no matter"):
        leaf = await root.sign(csr, san=("ucm.lab.test", "pub.lab.test"))
        (await pub.upload("tomcat", leaf.pem)).must_be("done")
        lab.check(pub.identity("tomcat") == leaf.fingerprint, "the publisher has it")
        await lab.converged(within="31m")
