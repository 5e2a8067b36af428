"""The platform's command line at simulated nodes: transcripts that take their time, and what differs by release."""

import re
from collections.abc import Callable
from itertools import groupby

import pytest

from tests.simulation.terminal import CommandLine, at_command_lines
from tests.unit.node.rule_tables import RELEASES, in_release
from ucmlab.cluster.admin.terminal.console import FAILED
from ucmlab.cluster.admin.terminal.machine import PROMPT
from ucmlab.cluster.topology import Settings
from ucmlab.node.certificates import pem
from ucmlab.node.events import GenerateCsr, ServiceTroubled
from ucmlab.scenarios import Lab

LogIn = Callable[..., CommandLine]
PRODUCT = Settings(nodes="pub,sub1", timing="product")
DO_NOT = (
    " Don't press Ctrl-c while the service is getting RESTARTED.If Service has not Restarted Properly, execute the same"
    " Command Again"
)
RUNNING = "Service Manager is running"
TOMCAT, TFTP = "Cisco Tomcat", "Cisco Tftp"


def runs(lines: list[str]) -> list[tuple[str, int]]:
    """Lines, and how often each comes in a row."""
    return [(line, len(list(again))) for line, again in groupby(lines)]


# -- services, with the product's durations


@pytest.mark.rule("R-148")
def test_a_restart_is_told_as_long_as_it_takes_and_the_session_is_not_the_services() -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        line = log_in("sub1")
        begun = lab.now
        lines = await line.ask("utils service restart Cisco Tomcat")
        took = (lab.now - begun).total_seconds()
        assert 70 <= took <= 215, "10 to 30 s to stop and 60 to 180 to start (services.toml)"
        assert lines[:2] == [DO_NOT, RUNNING]
        told = runs(lines[2:])
        assert [each for each, _ in told] == [f"{TOMCAT}[{state}]  " for state in ("STOPPING", "STARTING", "STARTED")]
        stopping, starting, started = (count for _, count in told)
        assert took / 2.4 <= stopping + starting <= took / 2 + 2, "told again every two seconds"
        assert (stopping > 2, starting > 20, started) == (True, True, 1)
        assert (await line.ask("show cli pagination")) == ["Automatic Pagination : On."]

    at_command_lines(story, PRODUCT)


@pytest.mark.rule("A.20")
def test_control_c_gives_the_prompt_back_and_the_restart_goes_on() -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        line, sub1 = log_in("sub1"), lab.node("sub1")
        await line.until(PROMPT)
        line.session.typed("utils service restart Cisco Tomcat\r")
        await line.until(f"{TOMCAT}[STOPPING]  \r\n")
        line.session.typed("\x03")
        await line.until(f"^C\r\n{PROMPT}")
        lab.check(sub1.services[TOMCAT] == "stopping", "it goes on")
        assert f"{TOMCAT}[STOPPING]" in await line.ask("utils service list")
        await lab.wait_until(lambda: sub1.services[TOMCAT] == "starting", "1m", "it starts")
        assert f"{TOMCAT}[STARTING]" in await line.ask("utils service list")
        await lab.wait_until(lambda: sub1.services[TOMCAT] == "started", "5m", "and is started")
        assert f"{TOMCAT}[STARTED]" in await line.ask("utils service list")

    at_command_lines(story, PRODUCT)


@pytest.mark.rule("A.20")
@pytest.mark.parametrize("timing", ["instant", "product"])
def test_a_start_that_fails_is_told_so_that_scripts_see_it(timing: str) -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        line = log_in("pub")
        world = line.desk._lab.world
        world.deliver(world.nodes["pub"], ServiceTroubled(TFTP, "fails", count=1))
        lines = await line.ask(f"utils service restart {TFTP}")
        states = [each for each, _ in runs(lines[2:])]
        assert states == [
            *(f"{TFTP}[{state}]  " for state in ("STOPPING", "STARTING", "FAILED")),
            FAILED,
            f"Service {TFTP} failed to start",
        ]
        assert f"{TFTP}[STOPPED]  Commanded Out of Service" in await line.ask("utils service list")
        assert (await line.ask(f"utils service start {TFTP}"))[-1] == f"{TFTP}[STARTED]  "

    at_command_lines(story, Settings(nodes="pub,sub1", timing=timing))  # type: ignore[arg-type]  # one of its words


@pytest.mark.rule("A.20")
def test_stops_and_starts_and_orders_that_are_carried_out_already() -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        line = log_in("pub")
        stopped = f"{TFTP}[STOPPED]  Commanded Out of Service"
        lines = await line.ask(f"utils service stop {TFTP}")
        assert [each for each, _ in runs(lines)] == [RUNNING, f"{TFTP}[STOPPING]  ", stopped]
        assert (await line.ask(f"utils service stop {TFTP}"))[-1] == stopped
        lines = await line.ask(f"utils service start {TFTP}")
        assert [each for each, _ in runs(lines)] == [RUNNING, f"{TFTP}[STARTING]  ", f"{TFTP}[STARTED]  "]
        assert (await line.ask(f"utils service start {TFTP}"))[-1] == f"{TFTP}[STARTED]  "
        assert [about["action"] for _, about in line.desk.asked] == ["stop", "stop", "start", "start"]

    at_command_lines(story, PRODUCT)


def test_names_of_services_as_they_may_be_typed() -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        line = log_in("sub1")
        for typed in ("utils  service   start  Cisco   Tomcat  ", "utils service start cisco tomcat"):
            assert (await line.ask(typed))[-1] == f"{TOMCAT}[STARTED]  "
        # The guide has names without quotes; what the product makes of some is not public. [ASSUMED] they are no name.
        for wrong in ('"Cisco Tomcat"', "'Cisco Tomcat'", "Cisco Tom", "tomcat"):
            lines = await line.ask(f"utils service start {wrong}")
            assert lines == [FAILED, f"{wrong} is not a valid service name"]
        not_activated = next(
            name for name, each in line.desk.status().services.items() if each.state == "not activated"
        )
        lines = await line.ask(f"utils service start {not_activated}")
        assert lines[:2] == [RUNNING, FAILED]
        assert lines[2].startswith("Service Not Activated: ")
        assert f"{not_activated}[STOPPED]  Service Not Activated" in await line.ask("utils service list")

    at_command_lines(story)


# -- what differs by release


@pytest.mark.rule("R-056", "X-18")
@pytest.mark.parametrize("release", RELEASES)
def test_each_release_shows_a_certificate_in_its_layout_and_the_pem_text_last(release: str) -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        line = log_in("sub1")
        for name in ("tomcat", "tomcat/tomcat.pem"):
            lines = await line.ask(f"show cert own {name}")
            text = pem(line.desk.identities()["tomcat"]).splitlines()
            assert lines[-len(text) :] == text
            page = lines[: -len(text)]
            if in_release(release, "14SU2.."):
                assert page[0] == "  [0]         Version: 3"
                assert any(each.startswith("           Final Date: ") for each in page)
            else:
                assert (page[0], page[-1]) == ("[", "]")
                # Clients read these at their places (W3.2).
                assert any(each.startswith("  Validity From: ") for each in page)
                assert any(each.startswith("           To: ") for each in page)
        listed = await line.ask("show cert list trust")
        name = next(each.partition(":")[0] for each in listed if each.startswith("tomcat-trust/"))
        shown = await line.ask(f"show cert trust {name}")
        assert (shown[0] == "[") is in_release(release, "..14SU2")

    at_command_lines(story, Settings(nodes="pub,sub1", release=release))


@pytest.mark.rule("B.4", "B.9")
@pytest.mark.parametrize("release", RELEASES)
def test_a_release_asks_for_the_organizational_unit_from_14su1_on(release: str) -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        line, done = log_in("sub1"), "Successfully Generated CSR for tomcat"
        if in_release(release, "14SU1.."):
            for answer in ("no", "yes"):
                lines = await line.ask("set csr gen tomcat", answer)
                assert lines == [f"Include OU in CSR (yes|no)? {answer}", done]
            assert [each for each, _ in line.desk.asked] == [
                GenerateCsr("", "tomcat", include_ou=False),
                GenerateCsr("", "tomcat", include_ou=True),
            ]
        else:
            assert await line.ask("set csr gen tomcat") == [done]
        assert await line.ask("show csr list own") == ["tomcat/tomcat.csr"]
        request = await line.ask("show csr own tomcat/tomcat.csr")
        assert (request[0], request[-1]) == ("-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----")

    at_command_lines(story, Settings(nodes="pub,sub1", release=release))


@pytest.mark.rule("R-121")
@pytest.mark.parametrize("release", RELEASES)
def test_a_release_takes_no_multi_san_certificate_from_14su2_on(release: str) -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        pub, line = lab.node("pub"), log_in("pub")
        root = await lab.ca("Corp Root CA")
        lines = await line.ask("set cert import trust tomcat", root.pem.decode() + "\r")
        assert lines[-3:-1] == [
            "Successfully imported certificate for tomcat-trust.",
            "Please restart services related to tomcat-trust for the new certificate to",
        ]
        await lab.converged(within="31m")
        leaf = await root.sign((await pub.generate_csr("tomcat", distribution="multi-server")).pem)
        lines = await line.ask("set cert import own tomcat", leaf.pem.decode() + "\r")
        taken = in_release(release, "..14SU2")
        assert ("Successfully imported certificate for tomcat." in lines, FAILED in lines) == (taken, not taken)
        assert (pub.identity("tomcat") == leaf.fingerprint) is taken

    at_command_lines(story, Settings(nodes="pub,sub1", release=release))


# -- what the guide shows of each command, line by line


@pytest.mark.rule("B.9", "A.20")
def test_dialogues_about_certificates_are_those_of_the_guide() -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        pub, line = lab.node("pub"), log_in("pub")
        before = pub.identity("tomcat")
        warning = "WARNING: This operation will overwrite any CA signed certificate previously imported for  tomcat"
        question = "Proceed with regeneration (yes|no)? "
        lines = await line.ask("set cert regen tomcat", "no")
        assert lines == [warning, f"{question}no", FAILED, "Not confirmed, nothing was changed: regeneration of tomcat"]
        assert pub.identity("tomcat") == before
        restart = "You must restart services related to {} for the regenerated certificates to become active."
        done = "Successfully Regenerated Certificate for {}."
        # Neither yes nor no is asked for again.
        lines = await line.ask("set cert regen tomcat", "perhaps", "yes")
        assert lines == [
            warning,
            f"{question}perhaps",
            f"{question}yes",
            done.format("tomcat"),
            restart.format("tomcat"),
        ]
        assert pub.identity("tomcat") != before
        lines = await line.ask("set cert regen ITLRecovery", "yes")
        assert (lines[0].startswith("WARNING: If a tokenless CTL is in use"), lines[1:]) == (
            True,
            [f"{question}yes", done.format("ITLRecovery"), restart.format("ITLRecovery")],
        )
        root = await lab.ca("Corp Root CA")
        lines = await line.ask("set cert import trust tomcat-trust", root.pem.decode() + "\r")
        assert lines[0] == "Paste the Certificate and Hit Enter"
        await line.ask("set csr gen tomcat", "no")
        leaf = await root.sign(("\n".join(await line.ask("show csr own tomcat")) + "\n").encode())
        lines = await line.ask("set cert import own tomcat Other.pem")
        assert lines == [FAILED, "tomcat-trust has no 'Other.pem'"]
        listed = await line.ask("show cert list trust")
        (file,) = (each.partition(":")[0] for each in listed if each.startswith("tomcat-trust/Corp"))
        lines = await line.ask(f"set cert import own tomcat {file}", leaf.pem.decode() + "\r")
        assert lines[-3:] == [
            "Successfully imported certificate for tomcat.",
            "Please restart services related to tomcat for the new certificate to",
            "become active.",
        ]
        assert "tomcat/tomcat.pem: Certificate Signed by Corp Root CA" in await line.ask("show cert list own")
        assert await line.ask("show csr list own") == []
        assert await line.ask("show csr own tomcat") == [
            FAILED,
            "File /usr/local/platform/.security/tomcat/keys/tomcat.csr does not exist",
        ]

    at_command_lines(story)


@pytest.mark.rule("R-123", "R-126", "R-130", "A.20")
def test_keys_of_oauth_are_one_line_of_hex_the_same_on_all_nodes() -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        pub, sub1, shows = log_in("pub"), log_in("sub1"), "show key authz {}"
        for key, other in (("signing", "encryption"), ("encryption", "signing")):
            before = await pub.ask(shows.format(key)), await pub.ask(shows.format(other))
            assert len(before[0][0]) == 64
            lines = await pub.ask(f"set key regen authz {key}", "yes")
            assert ("tokens become invalid" in lines[0], lines[1:]) == (
                True,
                ["Do you want to proceed (yes|no)? yes", f"Successfully regenerated the authz {key} key"],
            )
            await lab.converged(within="1m")
            for line in (pub, sub1):
                after = await line.ask(shows.format(key)), await line.ask(shows.format(other))
                assert (after[0] != before[0], after[1] == before[1]) == (True, True)
        assert (await sub1.ask("set key regen authz signing"))[0] == FAILED

    at_command_lines(story)


@pytest.mark.rule("A.20")
def test_services_are_listed_and_ipsec_and_that_of_an_im_and_presence_node_restarted() -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        for node, primary in (("pub", "true"), ("sub1", "false"), ("imp1", "false")):
            lines = await log_in(node).ask("utils service list")
            assert lines[0] == "Requesting service status, please wait..."
            begun = lines.index(">> Return code = 0")
            assert lines[begun - 2 : begun] == [RUNNING, "Getting list of all services"]
            assert lines[-1] == f"Primary Node ={primary}"
            assert all(" [" in each for each in lines[1 : begun - 2]), "the system's have a blank"
            assert not any(" [" in each for each in lines[begun + 1 :]), "the others have none"
        line = log_in("imp1")
        (own,) = (each for each in await line.ask("show network cluster") if " imp1 " in each)
        assert own.split()[2:] == ["imp1", "Subscriber", "cups", "DBSub", "authenticated"]
        lines = await line.ask("utils service restart Cisco Intercluster Sync Agent")
        assert lines[-1] == "Cisco Intercluster Sync Agent[STARTED]  "
        lines = await line.ask("utils ipsec restart")
        assert (all(each.startswith("ipsec_setup: ") for each in lines[:-1]), len(lines) > 2, lines[-1]) == (
            True,
            True,
            "Successfully Restarted IPsec Service",
        )

    at_command_lines(story, Settings(nodes="pub,sub1,imp1"))


@pytest.mark.rule("B.9", "X-04")
def test_default_cas_by_command_line() -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        pub, sub1, name = log_in("pub"), log_in("sub1"), "VeriSign Class 3 Secure Server CA - G3"
        listed = await sub1.ask("show cert default-ca-list")
        assert listed[:2] == ["", "Common Name                   Trust Stores               Purpose"]
        at = listed.index('"VeriSign Class 3             tomcat-trust               Trusted by the node itself when')
        assert listed[at + 1].startswith('Secure Server CA - G3"  ')
        assert sum(each.startswith('"') for each in listed) == 8
        commands = "set cert default-ca-list {} {}"
        asked = f"Enter the Common Name of Default CA Certificate : {name}"
        proceed = "Do you wish to proceed (yes|no)? yes"
        for action in ("disable", "enable"):
            lines = await pub.ask(commands.format(action, "common-name"), name, "yes")
            assert (lines[0], lines[-2:]) == (asked, [proceed, f'Successfully {action}d default "{name}" certificate.'])
            assert any('"Cisco Tomcat" after' in each for each in lines)
            assert not any("Cisco CallManager" in each for each in lines)
            await lab.converged(within="1m")
            held = {entry.name for entry in lab.node("sub1").certificates("tomcat-trust")}
            assert (name in held) is (action == "enable")
        for action in ("disable", "enable"):
            lines = await pub.ask(commands.format(action, "all"), "yes")
            assert lines[-3:-1] == [proceed, f"Successfully {action}d the default Cisco CA certificates."]
        lines = await pub.ask(commands.format("disable", "common-name"), "capf")
        assert lines[1:] == [FAILED, "The capf certificate is not in the list of default Cisco CA certificates."]
        lines = await sub1.ask(commands.format("enable", "all"))
        assert lines == [FAILED, "This operation on default CA certificates is allowed on the publisher only"]

    at_command_lines(story, Settings(nodes="pub,sub1", release="12.5"))


@pytest.mark.rule("B.9", "B.16", "R-161", "R-099")
def test_modes_are_the_parameters_that_ucmlab_sets() -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        line, sub1 = log_in("sub1"), lab.node("sub1")
        before = sub1.identity("tomcat")
        assert await line.ask("utils fips status") == ["The system is operating in non-FIPS mode."]
        lines = await line.ask("utils fips_common_criteria enable")
        assert lines[1] == "Common Criteria Mode needs FIPS Mode; set FIPS Mode of sub1 to true first"
        lines = await line.ask("utils fips enable", "no")
        assert lines[-1] == "Not confirmed, nothing was changed: FIPS mode was to be enabled"
        assert sub1.parameter("FIPS Mode") == "false"
        lines = await line.ask("utils fips enable", "yes")
        assert lines[2:9] == [
            *(f"{number}){unit}" for number, unit in enumerate(("CallManager", "tomcat", "ipsec", "TVS"), 1)),
            "5)CAPF",
            "6)ITLRecovery",
            "Any third party CA signed certificates that have been uploaded for the above",
        ]
        assert "Do you want to continue (yes/no) ? yes" in lines
        assert lines[-1] == "The system will reboot in a few minutes."
        await lab.converged(within="5m")
        assert (sub1.parameter("FIPS Mode"), sub1.identity("tomcat") != before) == ("true", True)
        assert await line.ask("utils fips status") == ["The system is operating in FIPS mode."]
        assert await line.ask("utils fips enable") == ["FIPS mode is already enabled."]
        assert await line.ask("utils fips_common_criteria enable") == ["Common Criteria mode enabled successfully."]
        assert await line.ask("utils fips_common_criteria status") == ["Common Criteria mode is enabled."]
        lines = await line.ask("utils fips disable", "yes")
        assert lines[-1] == "Common Criteria Mode needs FIPS Mode; set Common Criteria Mode of sub1 to false first"
        assert await line.ask("utils fips_common_criteria disable") == ["Common Criteria mode disabled successfully."]
        assert (await line.ask("utils fips disable", "yes"))[-3] == "FIPS mode disabled successfully."
        assert lab.node("pub").parameter("FIPS Mode") == "false", "each node has its own"
        assert (await line.ask("utils sipOAuth-mode enable"))[0] == FAILED
        lines = await log_in("pub").ask("utils sipOAuth-mode enable")
        assert lines[0] == "SIP OAuth mode enabled successfully."
        assert sub1.parameter("SIP OAuth Mode") == "true"

    at_command_lines(story)


def test_the_platform_and_its_cluster() -> None:
    async def story(lab: Lab, log_in: LogIn) -> None:
        pub, sub1 = log_in("pub"), log_in("sub1")
        lines = await pub.ask("show network cluster")
        assert lines[0] == "127.0.0.11 pub.lab.test pub Publisher callmanager DBPub authenticated"
        tcp = (
            r"127\.0\.0\.12 sub1\.lab\.test sub1 Subscriber callmanager DBSub authenticated using TCP since \w{3} \w{3}"
        )
        assert re.match(tcp, lines[1])
        assert lines[2:] == ["", "Server Table (processnode) Entries", "-" * 34, "pub", "sub1"]
        assert len(await sub1.ask("show network cluster")) == 2, "a subscriber has no table"
        lines = await pub.ask("show status")
        assert lines[0] == "Host Name          : pub"
        assert re.match(r" \d\d:\d\d:\d\d up .*,  1 user,  load average: ", lines[8])
        assert (await pub.ask("show version active"))[0] == "Active Master Version: 14.0.1.12900-161"
        await lab.break_replication("sub1")
        lines = await sub1.ask("utils dbreplication runtimestate")
        assert "     Errors or Mismatches Were Found!!!" in lines
        assert lines[-1].endswith("(4) Setup Failed")
        lines = await pub.ask("utils dbreplication runtimestate")
        assert all(re.search(r"\(g_\d\) +\(2\) Setup Completed$", each) for each in lines[-2:])
        await lab.repair_replication("sub1")

    at_command_lines(story)


def test_replication_of_a_cluster_of_one_node_is_no_state() -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        lines = await log_in("pub").ask("utils dbreplication runtimestate")
        single = "Runtime state cannot be performed on a cluster with a single active node; aborting operation"
        assert lines == [FAILED, single]

    at_command_lines(story, Settings(nodes="pub"))


@pytest.mark.parametrize(
    ("privilege", "may"),
    [
        (0, ["show status", "show version active", "utils service list", "utils fips status", "show cli pagination"]),
        (1, ["show cert list own", "show csr list own", "show cert default-ca-list", "set cli session timeout 5"]),
        (4, ["show key authz signing"]),
    ],
)
def test_what_an_account_may_use(privilege: int, may: list[str]) -> None:
    async def story(_: Lab, log_in: LogIn) -> None:
        for level in (0, 1, 4):
            line = log_in("pub", privilege=level)
            for command in may:
                answers = ["no"] if "timeout" in command and level >= privilege else []
                lines = await line.ask(command, *answers)
                assert (lines == [FAILED, "This account may not do that"]) is (level < privilege), command

    at_command_lines(story)
