"""A node that is there and does not answer."""

from datetime import timedelta

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication")
async def paused_node(lab: Lab) -> None:
    """sub2 hangs: nobody can tell it from a slow node, and nobody waits for it.

    A frozen server keeps its connections and answers nothing. An operation on it ends `indefinite` after a minute:
    asked, and not known. The others go on: rows reach sub1, and its files follow (R-022). When sub2 goes on, it has
    what it missed within one cycle.
    """
    pub, sub1, sub2 = lab.nodes
    root, other = await lab.ca("Corp Root CA"), await lab.ca("Partner Root CA")
    await sub2.pause()

    async with lab.step("A CA is uploaded on the publisher while sub2 hangs", expect="pub and sub1 get it"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.wait("5m")
        lab.check(root.fingerprint in sub1.files("tomcat-trust"), "sub1 has the file")
        lab.check(
            root.fingerprint not in sub2.files("tomcat-trust") | sub2.database("tomcat-trust"), "sub2 has nothing"
        )

    async with lab.step("A delete on the node that hangs", expect="no answer within a minute"):
        before = lab.now
        (await sub2.delete("tomcat-trust", root.fingerprint)).must_be("indefinite")
        lab.check(lab.now - before >= timedelta(minutes=1), "the operator waited a minute", seen=lab.now - before)

    async with lab.step("Another CA goes to CallManager-trust on sub1", expect="done: nobody waits for sub2"):
        (await sub1.upload("CallManager-trust", other.pem)).must_be("done")
        await lab.wait("2m")
        lab.check(other.fingerprint in pub.files("CallManager-trust"), "the publisher has it")

    async with lab.step("sub2 goes on", expect="it has what it missed within one cycle"):
        await sub2.resume()
        await lab.converged(within="31m")
        lab.check(other.fingerprint in sub2.files("CallManager-trust"), "sub2 has the second CA")
