"""R-206."""

from ucmlab.scenarios import Lab, scenario
from ucmlab.scenarios.page import Page


def _edit(page: Page, **values: str | int) -> None:
    for name, value in values.items():
        page.set(name.replace("_", " "), value)


@scenario(nodes="pub sub1", release="14SU2", tags="parameters revocation monitoring")
async def edited_and_not_saved(lab: Lab) -> None:
    """Three pages are filled in and left open for a day: nothing is otherwise than before, until they are saved.

    Certificate Monitor, Certificate Revocation and Enterprise Parameters take effect with Save, each page as a whole: a
    page with one value that will not do changes nothing (R-206).
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    ocsp = await root.responder()
    leaf = await root.issue("sip.corp.test")
    for certificate in (root, leaf):
        (await pub.upload("CallManager-trust", certificate.pem)).must_be("done")
    await lab.converged(within="31m")
    (await pub.restart("Cisco CallManager")).must_be("done")
    partner = await lab.peer("sip.corp.test", leaf)
    await root.revoke(leaf)
    (await sub1.age("tomcat", "20d")).must_be("done")

    def warned() -> list[str]:
        return [each.message_id for each in lab.syslog() if "Unit:tomcat " in each.text]

    def checks() -> int:
        return len(lab.events("revocation_check", node="pub"))

    monitor, revocation, enterprise = (
        pub.page(name) for name in ("Certificate Monitor", "Certificate Revocation", "Enterprise Parameters")
    )
    async with lab.step("The pages are filled in, and left for a day", expect="nothing is otherwise than before"):
        _edit(monitor, Notification_Start_Time=10)
        _edit(revocation, Enable_OCSP=True, Enable_Revocation_Check=True, Check_Every=0)
        _edit(enterprise, Certificate_Validity_Check=True, Validity_Check_Frequency=12)
        await lab.wait("25h")
        lab.check(revocation.value("Enable OCSP") == "true", "the page shows what was edited")
        lab.check(pub.parameter("Enable OCSP") == "false", "which nobody else knows of")
        lab.check(warned() != [], "the monitor tells of 20 days, as before", warned())
        lab.check(not checks() and not ocsp.queries, "nobody asks the responder", ocsp.queries)
        seen = await pub.connect(partner)
        lab.check(seen.verdict == "trusted", "the revoked partner is trusted", seen)
        lab.check(lab.events("parameter_set") == [], "no parameter was set")

    async with lab.step("Certificate Revocation is saved with a 0", expect="refused, and nothing of it is set"):
        (await revocation.save()).must_be("refused", "parameter_value")
        lab.check(pub.parameter("Enable OCSP") == "false", "OCSP is off still")
        lab.check(revocation.value("Enable OCSP") == "true", "what was edited is there")

    async with lab.step("The 0 is put right, all three are saved", expect="from here on all of it holds"):
        revocation.set("Check Every", 6)
        before = len(lab.events("log_appended"))
        pages = (revocation, monitor, enterprise)
        for page in pages:
            (await page.save()).must_be("done")
        lab.check(len(lab.events("log_appended")) == before + len(pages), "a page is one entry of the log")
        heard = len(warned())
        await lab.wait("25h")
        lab.check(len(warned()) == heard, "the monitor is silent until ten days are left", warned()[heard:])
        lab.check(checks() > 0, "certificates are checked every six hours")
        seen = await pub.connect(partner)
        lab.check(seen.reason == "revoked", "the revoked partner is refused", seen)
    await lab.converged(within="31m")
