"""What a certificate request says, whoever made it: all that a rule asks of one can be read, or it is none."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

MULTI_SERVER = "-ms"
"""Ends the host part of the common name of what is for several nodes (B.4)."""
UNREADABLE_CSR = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises at requests and keys of strange making."""


def read_csr(der: bytes) -> x509.CertificateSigningRequest:
    """Read a request (DER) with its key, names and extensions.

    Raises:
        ValueError: some of it cannot be read.
    """
    try:
        request = x509.load_der_x509_csr(der)
        request.public_key()
        request.subject.rfc4514_string()
        list(request.extensions)
    except UNREADABLE_CSR as error:
        raise ValueError("this is no certificate request that can be read") from error
    return request


def requested_name(csr: bytes) -> str:
    """The common name of a request (DER) that `read_csr` reads."""
    names = x509.load_der_x509_csr(csr).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[-1].value) if names else ""


def requested_names(csr: bytes) -> frozenset[str]:
    """The DNS names of a request (DER) that `read_csr` reads, in lower case."""
    extensions = x509.load_der_x509_csr(csr).extensions
    found = (each.value for each in extensions if isinstance(each.value, x509.SubjectAlternativeName))
    return frozenset(name.lower() for names in found for name in names.get_values_for_type(x509.DNSName))


def multi_server_name(common_name: str) -> str:
    """A unit's common name as multi-server certificates have it: `pub-ms.lab.test`, `pub-EC-ms.lab.test` (B.4)."""
    host, dot, domain = common_name.partition(".")
    return f"{host}{MULTI_SERVER}{dot}{domain}"


def is_multi_server(common_name: str) -> bool:
    """Whether a certificate or request of that name is for several nodes."""
    return common_name.partition(".")[0].endswith(MULTI_SERVER)
