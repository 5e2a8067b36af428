"""C-19."""

from ucmlab.scenarios import Lab, Node, scenario

TOMCAT = "Cisco Tomcat"


async def _presented(lab: Lab) -> dict[str, str]:
    return {node.name: (await node.tls(TOMCAT)).fingerprint for node in lab.nodes}


async def _restarted(*nodes: Node) -> None:
    for node in nodes:
        (await node.restart(TOMCAT)).must_be("done")


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="certificates services multi-server C-19")
async def partial_restart_after_multi_server(lab: Lab) -> None:
    """A new multi-server tomcat lies on all nodes, and Tomcat was restarted on the publisher alone.

    One upload brings the certificate to every node's files; what a node presents is what its Tomcat loaded. Half of the
    users see the old certificate, and pages of other nodes fail once the copy of the old CA was deleted: the publisher
    has forgotten who signed what subscribers present, and subscribers have not read yet who signed the publisher's.
    Tomcat must be restarted on all nodes, the publisher first (C-19).
    """
    pub, sub1, sub2 = lab.nodes
    old, new = await lab.ca("Old Corp CA"), await lab.ca("New Corp CA")

    async with lab.step("All nodes present a multi-server certificate of the old CA"):
        (await pub.upload("tomcat-trust", old.pem)).must_be("done")
        await lab.converged(within="31m")
        first = await old.sign((await pub.generate_csr("tomcat", distribution="multi-server")).pem)
        (await pub.upload("tomcat", first.pem)).must_be("done")
        await lab.converged(within="31m")
        (await lab.restart(TOMCAT)).must_be("done")
        seen = await _presented(lab)
        lab.check(set(seen.values()) == {first.fingerprint}, "all present it", seen)
        lab.check((await pub.tls(TOMCAT, peer=sub1)).verdict == "trusted", "and trust each other")

    async with lab.step("One of a new CA takes its place, and the old CA is deleted", expect="in files, everywhere"):
        (await pub.upload("tomcat-trust", new.pem)).must_be("done")
        await lab.converged(within="31m")
        second = await new.sign((await pub.generate_csr("tomcat", distribution="multi-server")).pem)
        (await pub.upload("tomcat", second.pem)).must_be("done")
        (await pub.delete("tomcat-trust", old.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        files = {node.identity("tomcat") for node in lab.nodes}
        lab.check(files == {second.fingerprint}, "files are the same on all nodes", files)

    async with lab.step("Tomcat is restarted on the publisher alone", expect="new there, old on the subscribers"):
        await _restarted(pub)
        seen = await _presented(lab)
        expected = {"pub": second.fingerprint, "sub1": first.fingerprint, "sub2": first.fingerprint}
        lab.check(seen == expected, "the publisher presents the new one, subscribers the old", seen)
        for server, client in ((sub1, pub), (pub, sub1)):
            page = await server.tls(TOMCAT, peer=client)
            text = f"{client.name} opens no page of {server.name}"
            lab.check((page.verdict, page.reason) == ("terminated", "unknown_ca"), text, page)
        lab.check((await sub2.tls(TOMCAT, peer=sub1)).verdict == "trusted", "subscribers still trust each other")

    async with lab.step("Tomcat is restarted on the others", expect="everybody presents it, and trusts the others"):
        await _restarted(sub1, sub2)
        seen = await _presented(lab)
        lab.check(set(seen.values()) == {second.fingerprint}, "all present the new one", seen)
        for server, client in ((sub1, pub), (pub, sub1), (sub2, sub1)):
            page = await server.tls(TOMCAT, peer=client)
            lab.check(page.verdict == "trusted", f"{client.name} opens pages of {server.name}", page)
        await lab.services_up(within="10m")
