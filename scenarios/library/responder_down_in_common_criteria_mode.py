"""C-57."""

from ucmlab.scenarios import Lab, scenario

CLIENTS = ("syslog", "sip", "ils", "lbm")
COMMON_CRITERIA = "Common Criteria Mode"
ALARM = "revocation_status_unavailable"


def _alarms(lab: Lab) -> int:
    return sum(each["alarm"] == ALARM for each in lab.events("alarm", node="pub"))


@scenario(nodes="pub sub1", release="14SU2", tags="revocation tls C-57")
async def responder_down_in_common_criteria_mode(lab: Lab) -> None:
    """The OCSP responder stops; with Common Criteria mode on, nothing that speaks TLS outwards connects any more.

    At each handshake a client asks for the status of the server's leaf. No answer is no good answer in Common Criteria
    mode; without that mode the connection comes about, and an alarm is all. The scheduled check raises it as well
    (B.16).
    """
    pub, _ = lab.nodes
    root = await lab.ca("Corp Root CA")
    ocsp, spare = await root.responder(), await root.responder()
    server = await lab.peer("all.corp.test", await root.issue("all.corp.test", ocsp=""))
    for unit in ("tomcat-trust", "CallManager-trust"):
        (await pub.upload(unit, root.pem)).must_be("done")
    await lab.converged(within="31m")
    (await pub.set_parameter("FIPS Mode", True)).must_be("done")
    await lab.wait("10m")
    settings: dict[str, str | int] = {
        COMMON_CRITERIA: True,
        "OCSP URI Source": "Use Configured OCSP URI",
        "OCSP Configured URI": ocsp.url,
        "Enable OCSP": True,
        "Enable Revocation Check": True,
        "Check Every": 6,
    }
    for name, value in settings.items():
        (await pub.set_parameter(name, value)).must_be("done")

    async def all_end(reason: str, text: str) -> None:
        for client in CLIENTS:
            seen = await pub.connect(server, client)
            lab.check(seen.reason == reason, f"{client}: {text}", seen)

    async with lab.step("The responder is up", expect="every client asks and connects"):
        before = len(ocsp.queries)
        await all_end("", "it connects")
        lab.check(len(ocsp.queries) - before == len(CLIENTS), "one query for each handshake", len(ocsp.queries))
        lab.check(_alarms(lab) == 0, "no alarm")

    await ocsp.stop()
    async with lab.step("The responder stops", expect="no answer, no connection; the scheduled check raises an alarm"):
        await all_end("revocation_unavailable", "it does not connect")
        before = _alarms(lab)
        await lab.wait("6h1m")
        lab.check(_alarms(lab) > before, "the scheduled check raised the alarm", _alarms(lab))

    async with lab.step("Common Criteria mode is off", expect="they connect, with an alarm"):
        (await pub.set_parameter(COMMON_CRITERIA, False)).must_be("done")
        before = _alarms(lab)
        await all_end("", "it connects all the same")
        lab.check(_alarms(lab) > before, "and the alarm is raised", _alarms(lab))

    async with lab.step("It is on again, and the other responder is configured", expect="they connect, and ask there"):
        (await pub.set_parameter(COMMON_CRITERIA, True)).must_be("done")
        await all_end("revocation_unavailable", "still nothing")
        (await pub.set_parameter("OCSP Configured URI", spare.url)).must_be("done")
        await all_end("", "it connects")
        lab.check(len(spare.queries) == len(CLIENTS), "the other responder was asked", len(spare.queries))

    await ocsp.start()
    async with lab.step("The first responder is up again, and configured again", expect="they connect, and ask there"):
        (await pub.set_parameter("OCSP Configured URI", ocsp.url)).must_be("done")
        before = len(ocsp.queries)
        await all_end("", "it connects as at first")
        lab.check(len(ocsp.queries) - before == len(CLIENTS), "the first responder was asked", len(ocsp.queries))
    await lab.converged(within="31m")
