"""Services take their orders over the bus: once each, and never late."""

from ucmlab.scenarios import Lab, scenario

TFTP = "Cisco Tftp"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="services bus")
async def service_stopped_over_the_bus(lab: Lab) -> None:
    """TFTP on sub1 is stopped and started from the publisher's Control Center, across a boot and a cut.

    What is not started at boot stays down over a boot, and a feature service is activated before it can be started. It
    uses what it loaded at its last start, so a stopped one holds nothing. An order to a node that is cut off gets no
    answer; it must not take effect an hour later either, when nobody expects it any more.
    """
    pub, sub1, _ = lab.nodes

    async with lab.step("TFTP on sub1 is stopped, not to be started at boot"):
        (await sub1.stop_service(TFTP, at_boot=False)).must_be("done")
        lab.check(sub1.services[TFTP] == "not activated", "TFTP on sub1 is stopped and deactivated")
        lab.check(pub.services[TFTP] == "started", "TFTP on the publisher is not concerned")

    async with lab.step("sub1 is booted", expect="TFTP stays down"):
        await sub1.stop()
        await sub1.start()
        await lab.wait("5m")
        lab.check(sub1.services["Cisco Tomcat"] == "started", "Tomcat is up again")
        lab.check(sub1.services[TFTP] == "not activated", "TFTP is not")

    async with lab.step("TFTP is activated and started", expect="not before; then it loads what lies on disk"):
        (await sub1.start_service(TFTP)).must_be("refused", "not_activated")
        (await sub1.enable_service(TFTP)).must_be("done")
        (await sub1.start_service(TFTP)).must_be("done")
        lab.check(
            sub1.loaded(TFTP)["CallManager"] == sub1.identity("CallManager"), "it holds sub1's CallManager certificate"
        )

    async with lab.step(
        "sub1 is cut off, and TFTP is ordered to stop", expect="no answer, and no effect after the healing"
    ):
        await lab.isolate(sub1)
        (await sub1.stop_service(TFTP)).must_be("indefinite")
        await lab.wait("10m")
        await lab.heal()
        await lab.holds(
            lambda: sub1.services[TFTP] == "started", during="31m", text="TFTP goes on: the order is too old"
        )

    async with lab.step("TFTP is restarted twice, and a service that there is not", expect="done, done, refused"):
        (await sub1.restart(TFTP)).must_be("done")
        (await sub1.restart(TFTP)).must_be("done")
        (await sub1.stop_service("Cisco Teapot")).must_be("refused", "not_found")
