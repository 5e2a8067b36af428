"""C-40."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="certificates CSR C-40")
async def csr_regenerated_after_it_was_sent(lab: Lab) -> None:
    """Somebody generates the request again while the CA is still at work, and the certificate does not fit any more.

    A new request takes the place of the old one, key included (R-151), so what the CA makes of the first is refused at
    the comparison of keys. The fix is to have the second request signed.
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")
    before = sub1.identity("tomcat")

    async with lab.step("A request is sent to the CA, and then made again"):
        first = await sub1.generate_csr("tomcat")
        first.must_be("done")
        leaf = await root.sign(first.pem)
        second = await sub1.generate_csr("tomcat")
        second.must_be("done")
        lab.check(first.pem != second.pem, "it is another request, with another key")

    async with lab.step("The CA's answer to the first is uploaded", expect="the keys do not match, nothing changes"):
        refused = await sub1.upload("tomcat", leaf.pem)
        refused.must_be("refused", "key_mismatch")
        lab.check(refused.text == "CSR Public Key and Certificate Public Key do not match", "the product's words")
        lab.check(sub1.identity("tomcat") == before, "the identity is the old one")

    async with lab.step("The second request is signed and uploaded", expect="that one is stored, so its leaf fits"):
        leaf = await root.sign(second.pem)
        (await sub1.upload("tomcat", leaf.pem)).must_be("done")
        lab.check(sub1.identity("tomcat") == leaf.fingerprint, "sub1 has the certificate of the CA")
        await lab.converged(within="31m")
