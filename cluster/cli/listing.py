"""Finding certificates of a node on a command line: its list as the disk has it, and one of it by name.

The list is read from the files at that moment: no node is asked, so a node that is down shows what its disk holds.
"""

from collections.abc import Sequence

from ucmlab.cluster.certificate_list import Entry, entry_of
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome
from ucmlab.node.errors import Refusal
from ucmlab.node.layout import HomeLayout, read_identities
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_files import TrustFiles

SHORTEST_PREFIX = 8
"""Hex digits of a fingerprint that are enough to name a certificate, if only one begins so."""


def entries(home: LabHome, node: str) -> list[Entry]:
    """Everything that lies in a node's files: identities first, then trust certificates, each by unit and file.

    Raises:
        Unusable: the lab has no such node.
    """
    layout = HomeLayout(home.node_home(node), home.topology.rulebook)
    listed = []
    for unit, der in sorted(read_identities(layout).items()):
        path = layout.identity_files[unit]
        listed.append(entry_of(unit, "identity", file=path.name, der=der, path=str(path)))
    files = TrustFiles(layout.trust_folders)
    for image in files.read()[0]:
        path = files.path(image.unit, image.name)
        listed.append(
            entry_of(image.unit, "trust", file=path.name, der=image.der, path=str(path), description=image.description)
        )
    return [entry for entry in listed if entry is not None]


def check_unit(rulebook: RuleBook, unit: str | None) -> None:
    """See that the release has the unit.

    Raises:
        Unusable: it has not.
    """
    if unit is not None and unit not in rulebook.units:
        raise Unusable(f"there is no unit {unit!r}; there are {', '.join(rulebook.units)}")


def find(listed: Sequence[Entry], unit: str, name: str | None) -> Entry:
    """The certificate of a unit that a name means: fingerprint (or its beginning), file name, or common name.

    Args:
        listed: the node's certificates.
        unit: the unit.
        name: may be left out where the unit has one certificate only, as an identity has.

    Raises:
        Refusal: `not_found`.
        Unusable: several fit; the text names them.
    """
    there = [entry for entry in listed if entry.unit == unit]
    found = there if name is None else _named(there, name)
    if not found:
        raise Refusal("not_found", f"it has no {name!r}" if name else "it is empty")
    if len(found) > 1:
        several = ", ".join(f"{entry.file} ({entry.certificate.fingerprint[:16]})" for entry in found)
        raise Unusable(f"{unit} has several that fit; say which by fingerprint or file: {several}")
    return found[0]


def fingerprint_of(name: str) -> str:
    """A fingerprint as OpenSSL and browsers write it (upper case, colons), as ours; other names unchanged."""
    bare = name.replace(":", "").lower()
    return bare if len(bare) >= SHORTEST_PREFIX and set(bare) <= set("0123456789abcdef") else name


def _named(there: Sequence[Entry], name: str) -> list[Entry]:
    prefix = fingerprint_of(name)
    exact = [entry for entry in there if name in (entry.file, entry.file.removesuffix(".pem"))]
    by_name = [entry for entry in there if entry.certificate.common_name == name]
    by_fingerprint = [
        entry for entry in there if len(prefix) >= SHORTEST_PREFIX and entry.certificate.fingerprint.startswith(prefix)
    ]
    return exact or by_name or by_fingerprint
