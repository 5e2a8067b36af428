"""Certificates, signing requests and keys on the command line (W3.2, domain.md B.9)."""

import asyncio
from collections.abc import Mapping

from ucmlab.cluster.admin.naming import Unknown, delete_of, trust_unit
from ucmlab.cluster.admin.terminal.console import Console, Failed, Perform, agrees, operate, refused
from ucmlab.cluster.cli.details import page
from ucmlab.node.certificates import Certificate, parse, pem
from ucmlab.node.config import AuthzKey
from ucmlab.node.csr import csr_pem
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Delete, FileImage, GenerateCsr, Regenerate, RegenerateAuthz, Upload

_AUTHZ: Mapping[str, AuthzKey] = {"encryption": "encryption", "signing": "signing"}
_PROCEED = "Proceed with regeneration (yes|no)? "


async def show_cert_list(console: Console, given: Mapping[str, str]) -> None:
    """`<unit>/<file>.pem: <text>`, and nothing else: scripts take what is before the colon of each line."""
    if given["own|trust"] == "own":
        made = await asyncio.to_thread(console.desk.identities)
        lines = [f"{unit}/{unit}.pem: {_signed_by(made[unit])}" for unit in _own_units(console) if unit in made]
    else:
        files = await asyncio.to_thread(console.desk.trusted)
        lines = [f"{file.unit}/{file.name}: {_described(file)}" for file in files]
    console.say(*lines)


async def show_cert_own(console: Console, given: Mapping[str, str]) -> None:
    """The certificate in the layout of the release, and its PEM text last: scripts cut there."""
    unit = _own_unit(console, given["name"], ".pem")
    der = (await asyncio.to_thread(console.desk.identities)).get(unit)
    if der is None:
        raise Failed(f"{console.desk.config.name} has no certificate of {unit}; show cert list own lists them")
    _show(console, parse(der))


async def show_cert_trust(console: Console, given: Mapping[str, str]) -> None:
    """The same of a trust certificate, by its name in the list; the unit may be left out if no other has the file."""
    wanted = given["name"].removesuffix(".pem")
    files = await asyncio.to_thread(console.desk.trusted)
    for file in files:
        name = file.name.removesuffix(".pem")
        if wanted in (name, f"{file.unit}/{name}"):
            try:
                _show(console, parse(file.der))
            except Refusal as refusal:
                raise refused(console, refusal.reason, file.unit, refusal.text) from refusal
            return
    raise Failed(f"{console.desk.config.name} has no {given['name']}; show cert list trust lists them")


async def show_csr_list(console: Console, _: Mapping[str, str]) -> None:
    """The requests that wait."""
    waiting = await asyncio.to_thread(console.desk.requests)
    console.say(*(f"{unit}/{unit}.csr" for unit in _own_units(console) if unit in waiting))


async def show_csr_own(console: Console, given: Mapping[str, str]) -> None:
    """The PEM text only, with the header that clients look for; the guide's sample has another one (W3.2)."""
    unit = _own_unit(console, given["name"], ".csr")
    der = (await asyncio.to_thread(console.desk.requests)).get(unit)
    if der is None:
        raise refused(console, "csr_missing", unit)
    console.say(csr_pem(der).rstrip())


async def set_csr_gen(console: Console, given: Mapping[str, str]) -> None:
    """A request of the unit's usual form; from 14SU1 the organizational unit is asked for."""
    unit = _own_unit(console, given["unit"])
    ou = console.desk.rulebook.release.ou_option and await agrees(console, "Include OU in CSR (yes|no)? ")
    await operate(console, GenerateCsr("", unit, include_ou=ou))
    console.say(f"Successfully Generated CSR for {unit}")


async def set_cert_regen(console: Console, given: Mapping[str, str]) -> None:
    """A new self-signed certificate, after a warning and a question."""
    unit = _own_unit(console, given["unit"])
    # Two blanks, as the product writes them (W3.2).
    warning = f"WARNING: This operation will overwrite any CA signed certificate previously imported for  {unit}"
    if unit == "ITLRecovery":
        # [inferred] the wording: what it warns of is known (W3.2, B.9).
        warning = (
            "WARNING: If a tokenless CTL is in use and the CallManager certificate was generated recently, see that the"
            " CTL file has the new CallManager certificate and is on the endpoints before you go on"
        )
    console.say(warning)
    if not await agrees(console, _PROCEED):
        raise refused(console, "not_confirmed", unit, f"regeneration of {unit}")
    await operate(console, Regenerate("", unit))
    console.say(
        f"Successfully Regenerated Certificate for {unit}.",
        f"You must restart services related to {unit} for the regenerated certificates to become active.",
    )


async def set_cert_import_own(console: Console, given: Mapping[str, str]) -> None:
    """What a CA made of the request; its CA may be named by its file in the trust store."""
    unit = _own_unit(console, given["unit"])
    authority = given.get("cacert")
    if authority is not None:
        # [inferred] the meaning: which of several CAs it is. The node finds the chain itself; the file must be there.
        store = console.desk.rulebook.units[unit].verified_by
        files = await asyncio.to_thread(console.desk.trusted)
        _delete_of(store, authority, files)
    await _import(console, unit)


async def set_cert_import_trust(console: Console, given: Mapping[str, str]) -> None:
    """A CA's certificate; the unit with or without `-trust`."""
    unit = _trust_unit(console, given["unit"])
    await _import(console, unit)


async def set_cert_delete(console: Console, given: Mapping[str, str]) -> None:
    """A trust certificate, by its file, or as the list has it; identities cannot be deleted (R-073)."""
    desk = console.desk
    if given["unit"] in desk.rulebook.identities:
        raise refused(console, "not_deletable", given["unit"])
    unit, name = _trust_unit(console, given["unit"]), given["file"]
    asked = _delete_of(unit, name, await asyncio.to_thread(desk.trusted))
    await operate(console, asked, file=name)
    console.say("Certificate Deleted Successfully")  # [inferred]


async def show_key_authz(console: Console, given: Mapping[str, str]) -> None:
    """The checksum of a key, not the key (R-123). [inferred] that it is one line of hex."""
    digest = (await asyncio.to_thread(console.desk.authz)).get(given["encryption|signing"])
    if digest is None:
        raise Failed(f"{console.desk.config.name} has no keys yet")
    console.say(digest)


async def set_key_regen_authz(console: Console, given: Mapping[str, str]) -> None:
    """One of the keys anew, on the publisher (R-130..R-132). [inferred] the wording: what it warns of is R-126."""
    key = _AUTHZ[given["encryption|signing"]]
    console.say(
        f"WARNING: This operation will regenerate the authz {key} key; all current access and refresh tokens become"
        " invalid. It is recommended to do this off-peak",
    )
    if not await agrees(console, "Do you want to proceed (yes|no)? "):
        raise refused(console, "not_confirmed", "AUTHZ", f"regeneration of the authz {key} key")
    await operate(console, RegenerateAuthz("", key), key=key)
    console.say(f"Successfully regenerated the authz {key} key")


async def _import(console: Console, unit: str) -> None:
    console.say("Paste the Certificate and Hit Enter")
    text = await console.paste()
    await operate(console, Upload("", unit, text.encode(errors="replace"), by_cli=True))
    console.say(
        f"Successfully imported certificate for {unit}.",
        f"Please restart services related to {unit} for the new certificate to",
        "become active.",
    )


def _show(console: Console, certificate: Certificate) -> None:
    console.say(*page(certificate, console.desk.rulebook.display), *pem(certificate.der).splitlines())


def _signed_by(der: bytes) -> str:
    certificate = parse(der)
    if certificate.self_signed:
        return "Self-signed certificate generated by system"
    return f"Certificate Signed by {_common_name(certificate.issuer)}"


def _common_name(name: str) -> str:
    """The common name of a distinguished name (RFC 4514), or all of it."""
    parts = (part.strip() for part in name.split(","))
    return next((part.removeprefix("CN=") for part in parts if part.startswith("CN=")), name)


def _described(file: FileImage) -> str:
    """What stands after the colon of a trust certificate: free text, on one line."""
    return " ".join(file.description.split()) or "Trust Certificate"  # [inferred] where nothing was described


def _own_units(console: Console) -> list[str]:
    desk = console.desk
    units = sorted(desk.rulebook.units_of(desk.config.role), key=lambda unit: unit.listed)
    return [unit.name for unit in units if unit.kind == "identity"]


def _own_unit(console: Console, name: str, suffix: str = "") -> str:
    """The identity of a name: the bare unit, or as lists have it."""
    bare, units = name.removesuffix(suffix) if suffix else name, _own_units(console)
    for unit in units:
        if bare.casefold() in (unit.casefold(), f"{unit}/{unit}".casefold()):
            return unit
    raise Failed(f"{console.desk.config.name} has no {name}; there are {', '.join(units)}")


def _trust_unit(console: Console, name: str) -> str:
    try:
        return trust_unit(console.desk.rulebook, console.desk.config.role, name)
    except Unknown as error:
        raise Failed(error.text) from error


def _delete_of(unit: str, name: str, files: tuple[FileImage, ...]) -> Delete:
    try:
        return delete_of(unit, name, files)
    except Unknown as error:
        raise Failed(error.text) from error


COMMANDS: Mapping[str, Perform] = {
    "show_cert_list": show_cert_list,
    "show_cert_own": show_cert_own,
    "show_cert_trust": show_cert_trust,
    "show_csr_list": show_csr_list,
    "show_csr_own": show_csr_own,
    "set_csr_gen": set_csr_gen,
    "set_cert_regen": set_cert_regen,
    "set_cert_import_own": set_cert_import_own,
    "set_cert_import_trust": set_cert_import_trust,
    "set_cert_delete": set_cert_delete,
    "show_key_authz": show_key_authz,
    "set_key_regen_authz": set_key_regen_authz,
}
