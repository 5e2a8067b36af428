"""The platform's command line of a real lab, as scripts written against the product use it (wire-interfaces 3).

The clients are asyncssh, paramiko (bare, and with paramiko-expect) and OpenSSH; each sends what W3.3 says that real
scripts send. What a change came to is read by OpenSSL and the lab's own command line.
"""

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import paramiko_expect
import pexpect
import pytest

from tests.integration.test_cli_lab import CommandLine, Forked, running
from tests.integration.test_identity_local import Authority
from tests.integration.test_rest_real import Api, fingerprint, presented
from ucmlab.cluster.admin.accounts import FAILURES
from ucmlab.cluster.admin.terminal.ssh import KEY_FILE
from ucmlab.cluster.doors import AT_A_PORT

pytestmark = pytest.mark.slow
PATIENCE_S = 30
END = "admin:"
OF_PUB = ["tomcat", "tomcat-ECDSA", "ipsec", "ITLRecovery", "CallManager-ECDSA", "CallManager", "CAPF", "TVS"]
FAILED = "Executed command unsuccessfully"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("ssh"), Forked, nodes="pub,sub1") as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "Ssh")


class Door:
    """Where a node's command line is, and who may log in."""

    def __init__(self, lab: CommandLine, node: str, *, user: str = "OS") -> None:
        env = lab.json("env")
        self.host: str = env[f"UCMLAB_{node.upper()}_ADDRESS"]
        self.port = int(env[f"UCMLAB_{node.upper()}_SSH_PORT"])
        self.user: str = env[f"UCMLAB_{user}_USER"]
        self.password: str = env[f"UCMLAB_{user}_PASSWORD"]

    @asynccontextmanager
    async def connect(self, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
        given: dict[str, Any] = {"username": self.user, "password": self.password, "known_hosts": None, "config": None}
        async with asyncssh.connect(self.host, self.port, **(given | options)) as connection:
            yield connection

    def paramiko(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507  as all scripts against the product do
        client.connect(
            self.host, self.port, self.user, self.password, look_for_keys=False, allow_agent=False, timeout=PATIENCE_S
        )
        return client

    def spoken(self, *lines: str) -> list[str]:
        """What each line is answered in one session, without its echo and the prompt."""

        async def speak() -> list[str]:
            async with self.connect() as connection, asyncio.timeout(PATIENCE_S):
                process = await connection.create_process(term_type="vt100", term_size=(200, 1000))
                await process.stdout.readuntil(END)
                answers = []
                for line in lines:
                    process.stdin.write(line + "\n")
                    answer = await process.stdout.readuntil(re.compile(r"(?m)^admin:|\? $| : $|Enter\r\n"))
                    answers.append(answer.partition("\n")[2].removesuffix(END))
                return answers

        return asyncio.run(speak())


def events(lab: CommandLine, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in lab.must("events", "--json", "--name", name).splitlines()]


def test_a_session_as_people_see_it(lab: CommandLine) -> None:
    """Login by password, banner, prompt, echo, CR LF everywhere."""

    async def bytes_of(door: Door) -> bytes:
        async with door.connect() as connection, asyncio.timeout(PATIENCE_S):
            process = await connection.create_process(term_type="vt100", term_size=(80, 24), encoding=None)
            said = await process.stdout.readuntil(b"\nadmin:")
            process.stdin.write(b"show version active\r")
            said += await process.stdout.readuntil(b"\nadmin:")
            process.stdin.write(b"exit\r\n")
            said += await process.stdout.read()
            await process.wait()
            assert process.exit_status == 0
            return bytes(said)

    said = asyncio.run(bytes_of(Door(lab, "pub")))
    assert said.startswith(b"Command Line Interface is starting up, please wait ...\r\n\r\n   Welcome to the Platform")
    assert b"\r\n\r\nVMware Installation:\r\n\t2 vCPU" in said
    assert b"\r\nadmin:show version active\r\nActive Master Version: 14.0.1." in said
    assert said.endswith(b"No Installed Software Options Found.\r\nadmin:exit\r\n")
    assert said.count(b"\n") == said.count(b"\r\n")


@pytest.mark.library
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # of the old key exchange
@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_each_way_to_say_the_password_and_the_algorithms_of_an_old_client(lab: CommandLine, method: str) -> None:
    async def said(door: Door) -> str:
        options: dict[str, object] = {
            "preferred_auth": method,
            "server_host_key_algs": ["rsa-sha2-256"],
            "kex_algs": ["diffie-hellman-group-exchange-sha256"],
            "encryption_algs": ["aes128-ctr"],
        }
        async with door.connect(**options) as connection, asyncio.timeout(PATIENCE_S):
            process = await connection.create_process(term_type="vt100")
            return str(await process.stdout.readuntil(END))

    assert "Welcome" in asyncio.run(said(Door(lab, "pub")))


def test_nothing_but_a_shell(lab: CommandLine) -> None:
    async def try_others(door: Door) -> None:
        async with door.connect() as connection, asyncio.timeout(PATIENCE_S):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.run("show version active")
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.start_sftp_client()
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection("127.0.0.1", 8443)
            with pytest.raises((asyncssh.ChannelListenError, asyncssh.ChannelOpenError)):
                await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 8443)

    asyncio.run(try_others(Door(lab, "pub")))


def test_lists_and_certificates_are_those_of_the_node(lab: CommandLine) -> None:
    own, *shown = Door(lab, "pub").spoken(
        "show cert list own", "show cert own tomcat", "show cert own tomcat/tomcat.pem", "show cert list trust"
    )
    lines = own.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"{unit}/{unit}.pem" for unit in OF_PUB]
    assert {line.partition(": ")[2] for line in lines} == {"Self-signed certificate generated by system"}
    dumped = lab.json("dump")["nodes"]["pub"]
    assert shown[0] == shown[1]
    assert fingerprint(shown[0][shown[0].index("-----BEGIN") :]) == dumped["identities"]["tomcat"]["fingerprint"]
    assert "SubjectDN: CN=pub.lab.test" in shown[0]
    trusted = [line.partition(":")[0] for line in shown[2].splitlines()]
    files = [each["file"] for rows in dumped["trust"].values() for each in rows if each["file"]]
    assert len(trusted) == len(files)
    assert {name.partition("/")[2] for name in trusted} == {Path(file).name for file in files}
    (one,) = Door(lab, "pub").spoken(f"show cert trust {trusted[0]}")
    assert one.rstrip().endswith("-----END CERTIFICATE-----")


@pytest.mark.rule("R-029", "R-141", "R-142", "R-145", "R-148")
def test_a_renewal_by_the_command_line_alone(lab: CommandLine, authority: Authority, tmp_path: Path) -> None:
    """As `cisco-uc-get-cert --ssh` does it, with paramiko-expect: spare line ends after answers and texts included."""
    door, api = Door(lab, "sub1"), Api(lab, "sub1")
    before = presented(api)
    client = door.paramiko()
    with paramiko_expect.SSHClientInteraction(client, timeout=PATIENCE_S, display=False, newline="\n") as said:

        def ask(line: str, end: str = ".*admin:") -> str:
            said.send(line)
            assert said.expect([end]) == 0, said.current_output
            return str(said.current_output_clean)

        said.expect([".*admin:"])
        ask("set cli pagination off")
        ask("set csr gen tomcat", r".*Include OU in CSR \(yes\|no\)\?\s*")
        assert ask("no\r\n").split("\n")[-2:] == ["Successfully Generated CSR for tomcat", ""]
        assert ask("show csr list own").strip() == "tomcat/tomcat.csr"
        csr = ask("show csr own tomcat").strip()
        assert csr.startswith("-----BEGIN CERTIFICATE REQUEST-----")
        file = tmp_path / "cli.csr"
        file.write_text(csr + "\n")
        leaf = authority.sign(file).read_text()
        for ca in (authority.root, authority.issuing):
            ask("set cert import trust tomcat", ".*Paste the Certificate and Hit Enter\\s*")
            assert "Successfully imported certificate for tomcat-trust." in ask(ca.read_text() + "\r\n")
        ask("set cert import own tomcat", ".*Paste the Certificate and Hit Enter\\s*")
        assert "Successfully imported certificate for tomcat.\n" in ask(leaf + "\r\n").replace("\r", "")
        assert "tomcat/tomcat.pem: Certificate Signed by Ssh Issuing" in ask("show cert list own")
        assert presented(api) == before, "not before the restart"
        restarted = ask("utils service restart Cisco Tomcat")
        states = re.findall(r"^Cisco Tomcat\[(\w+)\]  ", restarted, re.MULTILINE)
        assert list(dict.fromkeys(states)) == ["STOPPING", "STARTING", "STARTED"]
        assert presented(api) == fingerprint(leaf)
        said.send("exit")
    client.close()


def test_a_raw_client_that_nudges_reads_one_answer_a_command(lab: CommandLine) -> None:
    """paramiko's own channel, 80 columns; a spare line end while a command runs gives no prompt of its own."""
    client = Door(lab, "pub").paramiko()
    channel = client.invoke_shell(term="vt100", width=80, height=24)
    channel.settimeout(PATIENCE_S)
    text = _until(channel, END)
    channel.send(b"show version active\n\r\n\n")
    text = _until(channel, END)
    assert text.count("admin:") == 1
    channel.send(b"show cert list trust\n")
    paged = _until(channel, "--More--")
    assert paged.count("\r\n") == 24, "the line of the command, and a page less the line of the mark"
    channel.send(b"q")
    assert "Trust Certificate" not in _until(channel, END)
    channel.send(b"quit\n")
    while channel.recv(4096):
        pass
    assert channel.recv_exit_status() == 0
    client.close()


def _until(channel: paramiko.Channel, end: str) -> str:
    """What comes until a prompt, behind which nothing does, or until a line is there, whatever has come behind it."""
    said = ""
    while not (end in said if end.endswith("\n") else said.endswith(end)):
        piece = channel.recv(4096).decode()
        assert piece, said
        said += piece
    return said


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's ssh is not installed")
def test_openssh_as_pexpect_drives_it(lab: CommandLine) -> None:
    door = Door(lab, "pub")
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null"]
    given = [word for option in options for word in ("-o", option)]
    child = pexpect.spawn(
        "ssh", ["-F", "/dev/null", *given, "-p", str(door.port), f"{door.user}@{door.host}"], timeout=PATIENCE_S
    )
    child.expect("[Pp]assword:")
    child.sendline(door.password)
    child.expect_exact("\r\nadmin:")
    child.sendline("utils service restart Cisco Tftp")
    child.expect_exact("Cisco Tftp[STARTED]  ")
    child.expect_exact("\r\nadmin:")
    child.send("show ver\t")
    child.expect_exact("show version ")
    child.sendline("bogus")
    child.expect_exact(FAILED)
    child.expect_exact("\r\nadmin:")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1, "the last command failed"


def test_what_may_not_be(lab: CommandLine) -> None:
    reader = Door(lab, "pub", user="READER")
    shown, listed, refused, key, unknown, alone = reader.spoken(
        "show version active",
        "show cert list own",
        "set cert regen tomcat",
        "show key authz signing",
        "frobnicate",
        "show",
    )
    assert shown.startswith("Active Master Version: ")
    permission = [FAILED, "This account may not do that"]
    assert [each.splitlines() for each in (listed, refused, key)] == [permission] * 3
    assert unknown.splitlines() == alone.splitlines() == [FAILED, "No valid command entered"]
    own, absent, delete, fips, common = Door(lab, "pub").spoken(
        "set cert delete tomcat tomcat.pem",
        "show cert own nothing",
        "set cert delete tomcat-trust nothing",
        "utils fips status",
        "utils fips_common_criteria enable",
    )
    assert fips.splitlines() == ["The system is operating in non-FIPS mode."]
    assert common.splitlines()[0] == FAILED
    assert own.splitlines() == [FAILED, "Only trust certificates can be deleted; tomcat is an identity"]
    assert absent.splitlines() == [FAILED, f"pub has no nothing; there are {', '.join(OF_PUB)}"]
    assert delete.splitlines()[0] == FAILED
    (stray,) = Door(lab, "pub").spoken("show cert trust nothing")
    assert stray.splitlines() == [FAILED, "pub has no nothing; show cert list trust lists them"]


@pytest.mark.parametrize("spelling", ["{file}", "{unit}/{file}", "{bare}"])
def test_a_trust_certificate_is_deleted_by_either_name(lab: CommandLine, authority: Authority, spelling: str) -> None:
    door = Door(lab, "pub")
    pasted, done = door.spoken("set cert import trust ipsec-trust", authority.root.read_text() + "\r")
    assert pasted.rstrip() == "Paste the Certificate and Hit Enter"
    assert "Successfully imported certificate for ipsec-trust." in done
    (listed,) = door.spoken("show cert list trust")
    (file,) = (line.partition(":")[0] for line in listed.splitlines() if line.startswith("ipsec-trust/Ssh_Root"))
    name = spelling.format(unit="ipsec-trust", file=Path(file).name, bare=Path(file).stem)
    (deleted,) = door.spoken(f"set cert delete ipsec-trust {name}")
    assert deleted.strip() == "Certificate Deleted Successfully"


@pytest.mark.library
@pytest.mark.rule("B.9", "X-04")
def test_default_cas_are_disabled_and_enabled_on_the_publisher(lab: CommandLine) -> None:
    door, name = Door(lab, "pub"), "Cisco Manufacturing CA SHA2"
    command = "set cert default-ca-list {} common-name"

    def places() -> dict[str, list[str]]:
        lab.must("wait", "--converged", "--within", "60s")
        trust = {each: node["trust"] for each, node in lab.json("dump")["nodes"].items()}
        return {
            node: sorted(
                unit
                for unit, rows in units.items()
                for row in rows
                if row["subject"].startswith(f"CN={name},") and row["file"]
            )
            for node, units in trust.items()
        }

    both = ["CAPF-trust", "CallManager-trust"]
    assert places() == {"pub": both, "sub1": both}
    (listed,) = door.spoken("show cert default-ca-list")
    assert listed.splitlines()[1] == "Common Name                   Trust Stores               Purpose"
    assert '"Cisco Root CA M2"            CallManager-trust,         ' in listed
    *_, warned, done = door.spoken(command.format("disable"), name, "yes")
    assert ("Do you wish to proceed (yes|no)? " in warned, "Cisco Tftp" in warned, "Cisco Tomcat" in warned) == (
        True,
        True,
        False,
    )
    assert done.splitlines() == [f'Successfully disabled default "{name}" certificate.']
    assert places() == {"pub": [], "sub1": []}
    *_, done = door.spoken(command.format("enable"), name, "yes")
    assert done.splitlines() == [f'Successfully enabled default "{name}" certificate.']
    assert places() == {"pub": both, "sub1": ["CallManager-trust"]}
    *_, unknown = door.spoken(command.format("enable"), "CAP-RTP-003")
    assert unknown.splitlines() == [
        FAILED,
        "The CAP-RTP-003 certificate is not in the list of default Cisco CA certificates.",
    ]
    *_, no = door.spoken("set cert default-ca-list disable all", "no")
    assert no.splitlines()[0] == FAILED
    (elsewhere,) = Door(lab, "sub1").spoken("set cert default-ca-list disable all")
    assert elsewhere.splitlines() == [
        FAILED,
        "This operation on default CA certificates is allowed on the publisher only",
    ]
    assert places() == {"pub": both, "sub1": ["CallManager-trust"]}


@pytest.mark.rule("R-123", "R-130", "R-131", "R-132")
def test_each_key_of_oauth_by_itself_on_the_publisher(lab: CommandLine) -> None:
    both = ("show key authz signing", "show key authz encryption")
    before = Door(lab, "pub").spoken(*both)
    *_, refused = Door(lab, "sub1").spoken("set key regen authz signing")
    assert refused.startswith(FAILED)
    _, answer, *same = Door(lab, "pub").spoken("set key regen authz encryption", "no", *both)
    assert (answer.splitlines()[0], same) == (FAILED, before)
    _, answer, *after = Door(lab, "pub").spoken("set key regen authz encryption", "yes", *both)
    assert answer.startswith("Successfully")
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False]
    lab.must("wait", "--converged", "--within", "60s")
    assert Door(lab, "sub1").spoken(*both) == after


def test_every_change_is_kept_with_who_and_from_where(lab: CommandLine) -> None:
    Door(lab, "pub").spoken("utils service restart Cisco Tftp")
    found = [each for each in events(lab, "audit") if each.get("service") == "Cisco Tftp"]
    assert {(each["user"], each["interface"], each["action"]) for each in found} == {
        (Door(lab, "pub").user, "ssh", "restart")
    }


@pytest.mark.library
def test_the_host_key_is_its_owners_alone_and_stays(lab: CommandLine) -> None:
    def key() -> object:
        client = door.paramiko()
        transport = client.get_transport()
        assert transport is not None
        found = transport.get_remote_server_key()
        client.close()
        return found

    door = Door(lab, "sub1")
    before = key()
    file = Path(lab.json("dump")["nodes"]["sub1"]["home"]) / KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    lab.must("fault", "stop", "sub1")
    lab.must("fault", "start", "sub1")
    lab.must("wait", "--converged", "--within", "60s")
    door = Door(lab, "sub1")
    assert key() == before


@pytest.mark.library
def test_wrong_passwords_lock_the_account_for_all_interfaces(lab: CommandLine) -> None:
    door, api = Door(lab, "sub1", user="READER"), Api(lab, "sub1", user="READER")
    for _ in range(FAILURES):
        _refused(door, "wrong")
    _refused(door, door.password)
    assert api.call("GET", "/options").status_code == 401
    failed = [each for each in events(lab, "login_failed") if each["interface"] == "ssh"]
    assert [each["locked"] for each in failed] == [False] * FAILURES + [True]
    lab.must("time", "advance", "6m")
    assert door.spoken("show version active")


def _refused(door: Door, password: str) -> None:
    async def try_it() -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            async with door.connect(password=password, preferred_auth="password"):
                raise AssertionError

    asyncio.run(try_it())


@pytest.mark.library
def test_nothing_is_left_of_sessions_that_have_ended(lab: CommandLine) -> None:
    door = Door(lab, "pub")
    door.spoken("show version active")
    pid = lab.json("dump")["nodes"]["pub"]["pid"]

    def descriptors() -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    before = descriptors()
    for _ in range(8):
        client = door.paramiko()
        channel = client.invoke_shell()
        channel.send(b"set cert regen TVS\n")  # and goes while it is asked
        _until(channel, "(yes|no)? ")
        client.close()
    door.spoken("show version active")
    lab.must("wait", "--converged", "--within", "60s")
    assert descriptors() <= before + 1


@pytest.mark.library
def test_the_command_line_without_a_client_of_ones_own(lab: CommandLine) -> None:
    """`ucmlab cli`: one command, what standard input says, and what fails."""
    version = lab.must("cli", "pub", "show", "version", "active").splitlines()
    assert version[0].startswith("Active Master Version: 14.0.1.")
    assert len(version) == 3, "neither banner nor prompt"
    done = lab.run("cli", "pub", "set", "cert", "regen", "TVS", stdin=b"yes\n")
    assert (done.returncode, b"Successfully Regenerated Certificate for TVS.\n" in done.stdout) == (0, True)
    refused = lab.run("cli", "pub", "set", "cert", "regen", "TVS", stdin=b"no\n")
    assert (refused.returncode, b"Successfully" in refused.stdout, b"admin:" in refused.stdout) == (1, False, False)
    assert refused.stderr == b""
    several = lab.run("cli", "sub1", stdin=b"show version active\nshow cert list own\n")
    assert several.stdout.decode().splitlines() == [
        *version,
        *Door(lab, "sub1").spoken("show cert list own")[0].split("\r\n")[:-1],
    ]
    failed = lab.run("cli", "pub", "frobnicate")
    assert (failed.returncode, failed.stdout.decode().splitlines()) == (1, [FAILED, "No valid command entered"])
    absent = lab.run("cli", "nope", "show", "status")
    assert (absent.returncode, absent.stderr.count(b"\n")) == (2, 1)


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("set cert regen TVS", "`echo yes | ucmlab cli pub set cert regen TVS`"),
        ("set csr gen TVS", "`echo yes | ucmlab cli pub set csr gen TVS`"),
        ("utils fips enable", "`echo yes | ucmlab cli pub utils fips enable`"),
        (
            "set cert default-ca-list enable common-name",
            "`echo NAME | ucmlab cli pub set cert default-ca-list enable common-name`",
        ),
        ("set cert import trust tomcat", "`ucmlab cli pub set cert import trust tomcat < FILE`"),
    ],
)
def test_a_question_that_nobody_answers_is_told_with_what_would_answer_it(
    lab: CommandLine, command: str, how: str
) -> None:
    done = lab.run("cli", "pub", *command.split())
    line = f"ucmlab: it asked, and nobody answered; {how}, or `ucmlab cli pub` at a terminal\n"
    assert (done.returncode, done.stderr.decode()) == (2, line)
    assert b"Successfully" not in done.stdout


def test_standard_input_is_read_when_a_command_asks_and_no_further(lab: CommandLine, authority: Authority) -> None:
    """So one in a loop leaves the loop's list alone, and a pipe that nobody closes is not waited for."""
    loop = 'while read -r node; do "$@" cli "$node" show version active | head -n 1; done'
    command = ["sh", "-c", loop, "sh", *lab.command()]
    listed = subprocess.run(command, input=b"pub\nsub1\n", capture_output=True, env=lab.environment, check=True)
    assert listed.stdout.count(b"Active Master Version") == 2
    with subprocess.Popen(
        lab.command("cli", "pub", "set", "cert", "regen", "TVS"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=lab.environment,
    ) as child:
        assert child.stdin is not None is not child.stdout
        said = b""
        while not said.endswith(b"(yes|no)? "):
            said += child.stdout.read(1)
        child.stdin.write(b"yes\n")
        child.stdin.flush()
        assert child.stdout.read().startswith(b"Successfully Regenerated Certificate for TVS.\n")
        assert child.wait(PATIENCE_S) == 0, "its input is still open"
    pasted = lab.run("cli", "sub1", "set", "cert", "import", "trust", "ipsec", stdin=authority.root.read_bytes())
    assert (pasted.returncode, b"Successfully imported" in pasted.stdout) == (0, True), "its end ends the text"


@pytest.mark.parametrize(("command", "first"), [("?", b"    exit"), ("show cert ?", b"    default-ca-list")])
def test_a_question_mark_at_the_end_of_a_command_tells_how_it_may_go_on(
    lab: CommandLine, command: str, first: bytes
) -> None:
    told = lab.run("cli", "pub", *command.split())
    assert (told.returncode, told.stdout.startswith(first), b"admin:" in told.stdout) == (0, True, False)
    assert FAILED.encode() not in told.stdout


def test_at_a_terminal_one_command_asks_whoever_sits_there(lab: CommandLine) -> None:
    command = lab.command("cli", "pub", "set", "cert", "regen", "TVS")
    child = pexpect.spawn(command[0], command[1:], env=lab.environment, timeout=PATIENCE_S)
    child.expect_exact("(yes|no)? ")
    child.sendline("yes")
    child.expect_exact("Successfully Regenerated Certificate for TVS.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_at_a_terminal_the_node_sees_each_key(lab: CommandLine) -> None:
    command = lab.command("cli", "pub")
    child = pexpect.spawn(command[0], command[1:], env=lab.environment, timeout=PATIENCE_S)
    child.expect_exact("\r\nadmin:")
    child.send("show ver\t")
    child.expect_exact("show version ")
    child.send("?")
    child.expect_exact("active")
    child.sendline("active")
    child.expect_exact("Active Master Version: ")
    child.expect_exact("\r\nadmin:")
    child.send("\x1b[A")
    child.expect_exact("show version active")
    child.send("\x1b[D\x7f\x1b[C\x7fve\x1b[H\x0b\x1b[Aexit\x01\x0bexit\r")  # and much else that comes to nothing
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.library
@pytest.mark.rule("B.9", "R-099")
def test_sip_oauth_mode_is_the_parameter_of_the_cluster(lab: CommandLine) -> None:
    (elsewhere,) = Door(lab, "sub1").spoken("utils sipOAuth-mode enable")
    assert elsewhere.splitlines() == [FAILED, "This operation on SIP OAuth Mode is allowed on the publisher only"]
    told, again = Door(lab, "pub").spoken("utils sipOAuth-mode enable", "utils sipOAuth-mode enable")
    assert told.startswith("SIP OAuth mode enabled successfully.\r\nPlease restart the Cisco CallManager service")
    assert again.splitlines() == ["SIP OAuth mode is already enabled."]
    assert lab.json("parameter", "get", "cluster", "SIP OAuth Mode")["value"] == "true"
    lab.must("parameter", "set", "cluster", "SIP OAuth Mode", "false")


@pytest.mark.library
@pytest.mark.rule("B.9", "B.16")
def test_fips_mode_ends_the_session_as_the_node_boots_and_makes_certificates_anew(lab: CommandLine) -> None:
    door = Door(lab, "sub1")
    before = lab.json("dump")["nodes"]["sub1"]["identities"]
    first, common, warned, no = door.spoken(
        "utils fips status", "utils fips_common_criteria enable", "utils fips enable", "no"
    )
    assert first.splitlines() == ["The system is operating in non-FIPS mode."]
    assert common.splitlines()[1] == "Common Criteria Mode needs FIPS Mode; set FIPS Mode of sub1 to true first"
    assert "1)CallManager\r\n2)tomcat\r\n" in warned
    assert no.splitlines()[0] == FAILED
    for action, made in (("enable", {"CallManager", "tomcat", "ipsec", "TVS"}), ("disable", set())):
        if action == "enable":
            told = _to_the_end(door, "utils fips enable", "yes")
        else:
            done = lab.run("cli", "sub1", "utils", "fips", "disable", stdin=b"yes\n")
            assert (done.returncode, done.stderr.count(b"\n")) == (3, 1), "what came of it is for the node to tell"
            told = done.stdout.decode()
        assert f"FIPS mode {action}d successfully." in told
        lab.must("wait", "--converged", "--within", "60s")
        identities = lab.json("dump")["nodes"]["sub1"]["identities"]
        assert {unit for unit in before if identities[unit]["fingerprint"] != before[unit]["fingerprint"]} == made
        before, door = identities, Door(lab, "sub1")
        said = door.spoken("utils fips status", f"utils fips {action}")
        assert said[0].split()[-2] == ("FIPS" if action == "enable" else "non-FIPS")
        assert said[1].splitlines() == [f"FIPS mode is already {action}d."]
        if action == "enable":
            status = "utils fips_common_criteria status"
            said = door.spoken(
                "utils fips_common_criteria enable", status, "utils fips_common_criteria disable", status
            )
            assert [each.splitlines()[0].split()[3:5] for each in said] == [
                ["enabled", "successfully."],
                ["is", "enabled."],
                ["disabled", "successfully."],
                ["is", "disabled."],
            ]


@pytest.mark.library
@pytest.mark.rule("A.20")
def test_a_restart_with_the_products_durations_is_told_while_it_lasts(tmp_path: Path) -> None:
    """A minute of lab time a second: it lasts some, in which the session is told on, or has Ctrl-C."""
    lab = CommandLine(tmp_path)
    lab.must("up", "--detach", "--nodes", "pub", "--timing", "product", "--speed", "60")
    try:
        client = Door(lab, "pub").paramiko()
        channel = client.invoke_shell(term="vt100", width=200, height=1000)
        channel.settimeout(PATIENCE_S)
        _until(channel, END)
        channel.send(b"utils service restart Cisco Tomcat\n")
        told = [state for state, _ in groupby(re.findall(r"(?m)^Cisco Tomcat\[(\w+)\]  \r$", _until(channel, END)))]
        assert told == ["STOPPING", "STARTING", "STARTED"]
        channel.send(b"utils service restart Cisco Tomcat\n")
        _until(channel, "[STOPPING]  \r\n")
        channel.send(b"\x03")
        _until(channel, f"^C\r\n{END}")
        channel.send(b"utils service list\n")
        assert "Cisco Tomcat[STARTED]" not in _until(channel, END)
        lab.must("time", "advance", "10m")
        channel.send(b"utils service list\n")
        assert "Cisco Tomcat[STARTED]" in _until(channel, END)
        client.close()
    finally:
        lab.run("down")


def _to_the_end(door: Door, *lines: str) -> str:
    """What a session shows until the node ends it."""

    async def speak() -> str:
        async with door.connect() as connection, asyncio.timeout(PATIENCE_S):
            process = await connection.create_process(term_type="vt100", term_size=(200, 1000))
            process.stdin.write("".join(f"{line}\n" for line in lines))
            return str(await process.stdout.read())

    return asyncio.run(speak())


@pytest.mark.library
def test_a_client_that_says_nothing_goes_for_one_that_comes(lab: CommandLine) -> None:
    door = Door(lab, "sub1")
    silent = [socket.create_connection((door.host, door.port), timeout=PATIENCE_S) for _ in range(AT_A_PORT + 8)]
    try:
        assert door.spoken("show cli pagination") == ["Automatic Pagination : On.\r\n"]
    finally:
        for each in silent:
            each.close()
