"""A multi-server certificate for tomcat."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2 imp1", release="14SU2", tags="certificates multi-server")
async def one_certificate_for_the_cluster(lab: Lab) -> None:
    """One request, one upload, one tomcat certificate on every node; a node that was off has to be seen to by hand.

    The request names all nodes that have the unit, and is copied to them with its key, sealed (B.8). The certificate is
    uploaded once and handed on; the reply tells of each node, and a node that is off keeps its own. IM&P nodes have a
    part in tomcat, and none in CallManager.
    """
    pub, sub1, sub2, imp1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")

    async with lab.step("The publisher makes a multi-server request", expect="every node has it, IM&P too"):
        request = await pub.generate_csr("tomcat", distribution="multi-server")
        request.must_be("done")
        everybody = {node.name: "done" for node in lab.nodes}
        lab.check(request.nodes == everybody, "all nodes appear as exported", request.nodes)
        leaf = await root.sign(request.pem)

    async with lab.step("sub2 is off while the certificate is uploaded", expect="the others have it, sub2 does not"):
        before = sub2.identity("tomcat")
        await sub2.stop()
        done = await pub.upload("tomcat", leaf.pem)
        done.must_be("done")
        lab.check(done.nodes == {**everybody, "sub2": "unreachable"}, "the reply tells of each node", done.nodes)
        for node in (pub, sub1, imp1):
            lab.check(node.identity("tomcat") == leaf.fingerprint, f"{node.name} has the certificate")

    async with lab.step("sub2 comes back, and it is uploaded there", expect="sub2 had the request, so it fits"):
        await sub2.start()
        await lab.converged(within="31m")
        lab.check(sub2.identity("tomcat") == before, "by itself nothing comes")
        (await sub2.upload("tomcat", leaf.pem)).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            lab.check(node.database("tomcat") == {leaf.fingerprint}, f"one row names {node.name}'s certificate")

    async with lab.step("sub1 asks for a CallManager certificate of the same kind", expect="CUCM nodes only"):
        request = await sub1.generate_csr("CallManager", distribution="multi-server")
        request.must_be("done")
        lab.check(sorted(request.nodes) == ["pub", "sub1", "sub2"], "no IM&P node", request.nodes)
        (await sub1.generate_csr("ipsec", distribution="multi-server")).must_be("refused", "wrong_purpose")
