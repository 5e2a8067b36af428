"""A subscriber dies between its file and the database."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication")
async def killed_between_file_and_database(lab: Lab) -> None:
    """sub1 dies when its file is written and the database knows nothing: Change Notification finishes the upload.

    Certificate management writes the file system first and the database after, and a kill can fall between. The file
    system wins: at the start of Change Notification a file without a row is put into the database, here under the
    operation id that was kept beside the file, and from there it reaches everyone (R-022).
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Corp Root CA")
    fingerprint, unit = root.fingerprint, "tomcat-trust"

    async with lab.step(
        "sub1 dies right after it has written the file of an upload", expect="a file, and no row anywhere"
    ):
        await sub1.kill(at="WriteFile")
        (await sub1.upload(unit, root.pem)).must_be("indefinite")
        lab.check(sub1.state == "down", "sub1 is dead")
        lab.check(fingerprint in sub1.files(unit), "its disk has the file")
        await lab.holds(
            lambda: not any(fingerprint in node.database(unit) for node in lab.nodes),
            during="31m",
            text="no replica has the row while sub1 is dead",
        )

    async with lab.step("sub1 starts again", expect="its comparison proposes the file; then every node has it"):
        await sub1.start()
        await lab.wait_until(
            lambda: all(fingerprint in node.database(unit) for node in lab.nodes),
            within="5m",
            text="every replica has the row within five minutes",
        )
        await lab.converged(within="31m")
        for node in (pub, sub2):
            lab.check(fingerprint in node.files(unit), f"{node.name} has the file")
        await lab.wait("5m")
        lab.check(set(sub1.services.values()) <= {"started", "stopped", "not activated"}, "sub1's boot is over")
