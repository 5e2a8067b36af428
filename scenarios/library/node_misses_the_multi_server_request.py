"""C-50."""

from ucmlab.scenarios import Lab, scenario

TOMCAT, PLATFORM = "Cisco Tomcat", "Cisco Platform Administrative Web Service"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="certificates services multi-server C-50")
async def node_misses_the_multi_server_request(lab: Lab) -> None:
    """A multi-server request is made while Tomcat is stopped on sub2: sub2 gets no key, so no certificate either.

    A request and its key come to the other nodes by way of web services, so Cisco Tomcat and Cisco Platform
    Administrative Web Service must run on all of them (B.8). Where one does not, the request is made all the same:
    nothing but the list of nodes in the answer tells of it. The certificate that the CA makes of it fits no key of
    sub2, however often it is uploaded. Once the services run there, a new request and a new certificate heal (C-50).
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Corp Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")
    before = sub2.identity("tomcat")
    everybody = {node.name: "done" for node in lab.nodes}
    without = {**everybody, "sub2": "refused"}

    async with lab.step("Tomcat is stopped on sub2, and a request is made", expect="done, and sub2 is not in the list"):
        (await sub2.stop_service(TOMCAT)).must_be("done")
        request = await pub.generate_csr("tomcat", distribution="multi-server")
        request.must_be("done")
        lab.check(request.nodes == without, "it was exported to sub1, and not to sub2", request.nodes)
        told = [each for each in request.warnings if each.startswith("sub2: refused, service_stopped")]
        lab.check(len(told) == 1, "the answer says why", request.warnings)
        lab.check(not lab.events("csr_made", node=sub2), "sub2 has no request")
        leaf = await root.sign(request.pem)

    async with lab.step("Nobody notices, and the certificate is uploaded", expect="sub2 keeps its self-signed one"):
        done = await pub.upload("tomcat", leaf.pem)
        done.must_be("done")
        lab.check(done.nodes == without, "the list of nodes where it was successful lacks sub2", done.nodes)
        await lab.converged(within="31m")
        files = [node.identity("tomcat") for node in lab.nodes]
        lab.check(files == [leaf.fingerprint, leaf.fingerprint, before], "sub2 alone has its old one", files)
        for node in (pub, sub1):
            (await node.restart(TOMCAT)).must_be("done")
        (await sub2.start_service(TOMCAT)).must_be("done")
        for node in (pub, sub1):
            lab.check((await node.tls(TOMCAT)).verdict == "trusted", f"a browser trusts {node.name}")
        page = await sub2.tls(TOMCAT)
        lab.check((page.fingerprint, page.reason) == (before, "unknown_ca"), "and warns of sub2", page)

    async with lab.step("Tomcat runs on sub2, and the same certificate is uploaded again", expect="there is no key"):
        await lab.wait_until(
            lambda: sub2.services[PLATFORM] == "started", within="5m", text="the service that stands on it runs too"
        )
        for node in (sub2, pub):
            (await node.upload("tomcat", leaf.pem)).must_be("refused", "csr_missing")
        await lab.converged(within="31m")
        lab.check(sub2.identity("tomcat") == before, "sub2 is as it was")

    async with lab.step("A new request is made, and signed", expect="the list is complete, and all have the new one"):
        request = await pub.generate_csr("tomcat", distribution="multi-server")
        request.must_be("done")
        lab.check(request.nodes == everybody, "it was exported to all", request.nodes)
        leaf = await root.sign(request.pem)
        done = await pub.upload("tomcat", leaf.pem)
        done.must_be("done")
        lab.check(done.nodes == everybody, "and successful everywhere", done.nodes)
        await lab.converged(within="31m")
        for node in lab.nodes:
            (await node.restart(TOMCAT)).must_be("done")
            page = await node.tls(TOMCAT)
            lab.check((page.fingerprint, page.verdict) == (leaf.fingerprint, "trusted"), f"{node.name} serves it", page)
        await lab.services_up(within="10m")
