"""What a certificate has otherwise than its request asked for: to be seen before it is uploaded (R-031)."""

from collections.abc import Iterable

from cryptography import x509

from ucmlab.cluster.ca.requests import Request
from ucmlab.node.usages import KEY_USAGES, extended_name, usages_of

_COMPARED = {
    x509.KeyUsage.oid: "keyUsage",
    x509.ExtendedKeyUsage.oid: "extendedKeyUsage",
    x509.SubjectAlternativeName.oid: "subjectAltName",
    x509.BasicConstraints.oid: "basicConstraints",
}


def differences(request: Request, certificate: x509.Certificate) -> list[str]:
    """One line an extension that lacks something, or has something besides; none if all is as asked."""
    asked = {each.oid: each.value for each in request.extensions}
    given = {each.oid: each.value for each in certificate.extensions}
    found: list[str] = []
    for oid, name in _COMPARED.items():
        wanted, made = _parts(asked.get(oid)), _parts(given.get(oid))
        found += _line(name, "lacks", [part for part in wanted if part not in made])
        # Who asks for no constraints gets those of a leaf.
        if oid != x509.BasicConstraints.oid or wanted:
            found += _line(name, "has besides", [part for part in made if part not in wanted])
    lost = [oid.dotted_string for oid in asked if oid not in given]
    return found + [f"{oid} is missing" for oid in lost if x509.ObjectIdentifier(oid) not in _COMPARED]


def _line(name: str, verb: str, parts: Iterable[str]) -> list[str]:
    text = ", ".join(parts)
    return [f"{name} {verb} {text}"] if text else []


def _parts(value: x509.ExtensionType | None) -> list[str]:
    match value:
        case x509.KeyUsage():
            bits = usages_of(value)
            return [name for name in KEY_USAGES if name in bits]
        case x509.ExtendedKeyUsage():
            return [extended_name(oid) for oid in value]
        case x509.SubjectAlternativeName():
            return [str(name.value) for name in value]
        case x509.BasicConstraints():
            length = "" if value.path_length is None else f" pathlen {value.path_length}"
            return [f"CA:{str(value.ca).upper()}{length}"]
        case _:
            return []
