"""CA certificates that came with the product, on the command line (W3.2, B.9): which there are, off and on again."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from textwrap import wrap

from ucmlab.cluster.admin.terminal.console import Console, Failed, Perform, agrees, operate, refused
from ucmlab.node.events import SetDefaultCas
from ucmlab.node.rulebook import DefaultCa

_NAME, _STORES, _PURPOSE = 30, 27, 32
"""Columns of the guide's sample; a name is broken before the end of its own."""
_BROKEN_AT = 22
_OF_SERVERS = "Trusted by the node itself when it calls Cisco's servers."
_OF_PHONES = "Issued certificates of phones in their factory (MIC); with it phones are let in by those."
_OF_PHONE_STORES = ('"Cisco CallManager"', '"Cisco Tftp"', '"Cisco Certificate Authority Proxy Function"')
_TOMCAT = "tomcat-trust"
_WAIT = "Please wait for a few minutes for the UI to reflect the correct status."


async def show_default_cas(console: Console, _: Mapping[str, str]) -> None:
    """Those of the release, whether they are enabled or not."""
    console.say("", _row("Common Name", "Trust Stores", "Purpose"))
    for each in _shipped(console):
        console.say("", *_rows(each))


async def set_default_cas(console: Console, given: Mapping[str, str]) -> None:
    """All of them or one, whose name is asked for; on the publisher."""
    enabled = given["enable|disable"] == "enable"
    one = await _one(console) if given["all|common-name"] == "common-name" else None
    console.say("", *_warning(one, enabled=enabled))
    name = one.name if one is not None else ""
    asked = SetDefaultCas("", enabled, name)
    if not await agrees(console, "Do you wish to proceed (yes|no)? "):
        raise refused(console, "not_confirmed", asked.unit, asked.unit)
    await operate(console, asked, action=given["enable|disable"])
    done = "enabled" if enabled else "disabled"
    if one is None:
        console.say(f"Successfully {done} the default Cisco CA certificates.", _WAIT)
    else:
        console.say(f'Successfully {done} default "{name}" certificate.')


async def _one(console: Console) -> DefaultCa:
    name = (await console.ask("Enter the Common Name of Default CA Certificate : ")).strip()
    for each in _shipped(console):
        if each.name == name:
            return each
    raise Failed(console.desk.rulebook.refusal_text("not_a_default_ca", unit=name))


def _warning(one: DefaultCa | None, *, enabled: bool) -> tuple[str, ...]:
    """In our words, but for the services. [inferred]."""
    which = "all default Cisco CA certificates" if one is None else f'the "{one.name}" Cisco CA certificate'
    of_tomcat = () if one is not None and _TOMCAT not in one.units else ('"Cisco Tomcat"',)
    of_phones = () if one is not None and _TOMCAT in one.units else _OF_PHONE_STORES
    reach = " as trusted, for all nodes in this cluster" if enabled else " on all nodes in this cluster"
    return (
        f"WARNING: This operation will {'enable' if enabled else 'disable'} {which}{reach}.",
        'Use "show cert default-ca-list" to see the list of default Cisco CA certificates.',
        f"You must restart the services {', '.join((*of_tomcat, *of_phones))} after running this command.",
        "This command should be run from the Publisher.",
    )


def _shipped(console: Console) -> list[DefaultCa]:
    return [each for each in console.desk.rulebook.default_cas.values() if each.units]


def _rows(each: DefaultCa) -> Iterator[str]:
    stores = sorted(each.units, key=str.casefold)
    named = [f"{store}," for store in stores[:-1]] + stores[-1:]
    purpose = _OF_SERVERS if _TOMCAT in stores else _OF_PHONES  # in our words
    cells = zip_longest(wrap(f'"{each.name}"', _BROKEN_AT), named, wrap(purpose, _PURPOSE), fillvalue="")
    yield from (_row(*line) for line in cells)


def _row(name: str, store: str, purpose: str) -> str:
    return f"{name:<{_NAME}}{store:<{_STORES}}{purpose}".rstrip()


COMMANDS: Mapping[str, Perform] = {
    "show_cert_default_ca_list": show_default_cas,
    "set_cert_default_ca_list": set_default_cas,
}
