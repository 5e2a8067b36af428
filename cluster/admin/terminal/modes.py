"""Modes of a node and of the cluster on the command line (W3.2, B.9, B.16): FIPS, Common Criteria, SIP OAuth.

Each is a parameter, and a command here saves it as `ucmlab parameter set` does. The product asks more of FIPS mode than
the lab has: a security password of 14 characters, an algorithm for the files of TFTP, a CTL file of mixed mode, keys of
SSH, self-tests. Nothing is said of those here.
"""

import asyncio
from collections.abc import Mapping

from ucmlab.cluster.admin.terminal.console import Console, Perform, agrees, operate, refused
from ucmlab.node.events import SetParameter
from ucmlab.node.parameter_rules import CLUSTER, COMMON_CRITERIA, FIPS

SIP_OAUTH = "SIP OAuth Mode"
_LINE = "*" * 78


async def utils_fips(console: Console, given: Mapping[str, str]) -> None:
    """Turn FIPS mode of this node on or off, after a question; the node makes certificates anew, and boots."""
    enable = given["enable|disable"] == "enable"
    if await _is_so(console, FIPS, enable):
        console.say(f"FIPS mode is already {_done(enable)}.")  # [inferred]
        return
    console.say(*(_enabling(console) if enable else ("This will change the system to non-FIPS mode and will reboot.",)))
    # The blank before the question mark is in what a client expects (W3.3, axl-ansible-examples).
    if not await agrees(console, "Do you want to continue (yes/no) ? "):
        raise refused(console, "not_confirmed", FIPS, f"FIPS mode was to be {_done(enable)}")
    console.say(f"Generating certificates...Setting {'FIPS' if enable else 'non-FIPS'} mode in operating system.")
    await _save(console, FIPS, enable)
    # The product boots in a few minutes, the lab as soon as the certificates are made: this session ends with it.
    console.say(f"FIPS mode {_done(enable)} successfully.", _LINE, "The system will reboot in a few minutes.")


async def utils_fips_status(console: Console, _: Mapping[str, str]) -> None:
    """What this node has carried out. [inferred] the text, after which the product tells of its self-tests."""
    on = await asyncio.to_thread(console.desk.in_fips_mode)
    console.say(f"The system is operating in {'FIPS' if on else 'non-FIPS'} mode.")


async def utils_common_criteria(console: Console, given: Mapping[str, str]) -> None:
    """Turn Common Criteria mode of this node on or off; nothing is made anew (B.16). [inferred] the texts.

    The product offers to turn FIPS mode on along with it: here it is refused, and told what comes first. When the mode
    is turned off it asks for the least version of TLS, of which the lab has no parameter.
    """
    enable = given["enable|disable"] == "enable"
    if await _is_so(console, COMMON_CRITERIA, enable):
        console.say(f"Common Criteria mode is already {_done(enable)}.")
        return
    await _save(console, COMMON_CRITERIA, enable)
    console.say(f"Common Criteria mode {_done(enable)} successfully.")


async def utils_common_criteria_status(console: Console, _: Mapping[str, str]) -> None:
    """Whether this node is in that mode. [inferred] the text."""
    on = await _is_so(console, COMMON_CRITERIA, wanted=True)
    console.say(f"Common Criteria mode is {_done(on)}.")


async def utils_sip_oauth_mode(console: Console, _: Mapping[str, str]) -> None:
    """Turn SIP OAuth mode of the cluster on, on the publisher; B.9 has no way back. [inferred] the texts."""
    if await _is_so(console, SIP_OAUTH, wanted=True):
        console.say("SIP OAuth mode is already enabled.")
        return
    await _save(console, SIP_OAUTH, enable=True)
    console.say(
        "SIP OAuth mode enabled successfully.",
        "Please restart the Cisco CallManager service on all nodes in the cluster that run this service.",
    )


def _enabling(console: Console) -> tuple[str, ...]:
    made = console.desk.rulebook.parameters[FIPS].regenerates
    return (
        "Security Warning: The operation will regenerate certificates for",
        "",
        *(f"{number}){unit}" for number, unit in enumerate(made, 1)),
        "Any third party CA signed certificates that have been uploaded for the above",
        "components will need to be re-uploaded.",
        "If there are other servers in the cluster, please wait and do not change the",
        "FIPS mode of any other node until this node is back up and running.",
        _LINE,
        "This will change the system to FIPS mode and will reboot.",
        _LINE,
    )


async def _is_so(console: Console, name: str, wanted: bool) -> bool:  # noqa: FBT001  a value
    return (await asyncio.to_thread(console.desk.parameter, name) == "true") is wanted


async def _save(console: Console, name: str, enable: bool) -> None:  # noqa: FBT001  a value
    value = "true" if enable else "false"
    place = CLUSTER if console.desk.rulebook.parameters[name].scope == "cluster" else console.desk.config.name
    await operate(console, SetParameter("", place, name, value), parameter=name, value=value)


def _done(enable: bool) -> str:  # noqa: FBT001  a value
    return "enabled" if enable else "disabled"


COMMANDS: Mapping[str, Perform] = {
    "utils_fips": utils_fips,
    "utils_fips_status": utils_fips_status,
    "utils_common_criteria": utils_common_criteria,
    "utils_common_criteria_status": utils_common_criteria_status,
    "utils_sip_oauth_mode": utils_sip_oauth_mode,
}
