"""R-164, R-190, R-191."""

from ucmlab.scenarios import Lab, scenario


def _alarms(lab: Lab, node: str) -> list[object]:
    found = lab.events("alarm", node=node)
    return [each.get("detail") for each in found if each["alarm"] == "revocation_status_unavailable"]


@scenario(nodes="pub sub1", release="14SU2", tags="revocation")
async def scheduled_check_without_a_responder(lab: Lab) -> None:
    """Every six hours all certificates are checked; once the responder is down, once it never answers.

    Each check ends with one alarm for the responder, however many certificates name it. Nobody else waits for it: an
    upload of a root, which nobody can revoke, goes its way meanwhile.
    """
    pub, _ = lab.nodes
    root = await lab.ca("Corp Root CA")
    ocsp = await root.responder()
    names = ("ldap.corp.test", "mail.corp.test", "sip.corp.test")
    leaves = [await root.issue(name) for name in names]
    for certificate in (root, *leaves):
        (await pub.upload("tomcat-trust", certificate.pem)).must_be("done")
    await lab.converged(within="31m")
    for name, value in {"Enable OCSP": True, "Enable Revocation Check": True, "Check Every": 6}.items():
        (await pub.set_parameter(name, value)).must_be("done")

    async with lab.step("Six hours with the responder up", expect="each node asks once about each certificate"):
        await lab.wait("6h1m")
        lab.check(len(ocsp.queries) == len(leaves) * len(lab.nodes), f"{len(ocsp.queries)} queries")

    await ocsp.stop()
    async with lab.step("Six hours with the responder down", expect="one alarm on each node"):
        await lab.wait("6h")
        for node in lab.nodes:
            lab.check(_alarms(lab, node.name) == ["refused"], f"{node.name} raised one alarm")

    await ocsp.start()
    await ocsp.slow(None)
    async with lab.step("It takes requests and never answers", expect="the deadline, one alarm, and work goes on"):
        await lab.wait("5h59m2s")
        other = await lab.ca("Other Root CA")
        (await pub.upload("tomcat-trust", other.pem)).must_be("done")
        await lab.wait("1m")
        for node in lab.nodes:
            lab.check(_alarms(lab, node.name) == ["refused", "timeout"], f"{node.name} raised one more")

    await ocsp.start()
    await lab.converged(within="31m")
