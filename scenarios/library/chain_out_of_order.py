"""C-42."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="certificates chain C-42")
async def chain_out_of_order(lab: Lab) -> None:
    """Leaf, intermediate and root are uploaded in the wrong order, then in the right one, then as one chain.

    Every issuer up to a self-signed root must be in the trust store before the leaf is (R-012, R-013, X-12). What is
    refused changes nothing: the request and the old identity stay. A PKCS#7 chain brings all CA certificates with one
    upload (R-014).
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    issuing = await lab.ca("Corp Issuing CA", parent=root)
    before = pub.identity("tomcat")
    leaf = await issuing.sign((await pub.generate_csr("tomcat")).pem)

    async with lab.step("The leaf first, then the intermediate and the leaf", expect="each time an issuer is missing"):
        refused = await pub.upload("tomcat", leaf.pem)
        refused.must_be("refused", "chain_incomplete")
        lab.check(refused.text == "CA certificate is not available in the trust-store", "the product's words")
        lab.check("Corp Issuing CA" in " ".join(refused.warnings), "the missing link is named", refused.warnings)
        (await pub.upload("tomcat-trust", issuing.pem)).must_be("done")
        refused = await pub.upload("tomcat", leaf.pem)
        refused.must_be("refused", "chain_incomplete")
        lab.check("Corp Root CA" in " ".join(refused.warnings), "now it is the root", refused.warnings)
        lab.check(pub.identity("tomcat") == before, "the identity is the old one")

    async with lab.step("The root, and the leaf again", expect="accepted: the request is still there"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        (await pub.upload("tomcat", leaf.pem)).must_be("done")
        lab.check(pub.identity("tomcat") == leaf.fingerprint, "the publisher has its leaf")
        await lab.converged(within="31m")

    async with lab.step(
        "On CallManager-trust of sub1 the chain comes as PKCS#7", expect="one upload, two certificates"
    ):
        (await sub1.upload("CallManager-trust", issuing.pkcs7())).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            both = {root.fingerprint, issuing.fingerprint} <= node.files("CallManager-trust")
            lab.check(both, f"{node.name} has root and intermediate")
        leaf = await issuing.sign((await sub1.generate_csr("CallManager")).pem)
        (await sub1.upload("CallManager", leaf.pem)).must_be("done")
        await lab.converged(within="31m")
