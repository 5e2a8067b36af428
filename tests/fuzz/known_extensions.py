"""Every extension that the library has a class for, as it should be: what a fuzzer turns into what it should not be."""

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, SubjectInformationAccessOID

from tests.fuzz.der import OCTET_STRING, SEQUENCE, oid, value
from tests.fuzz.raw import extension
from tests.unit.node.authorities import usage
from tests.unit.node.certificate_factory import END, START, name

DIRECTORY = x509.DirectoryName(name("elsewhere"))
PLACE = x509.UniformResourceIdentifier("http://lab.example/x")
IDENTIFIER = x509.ObjectIdentifier("1.2.3.4")
POINTS = (
    x509.DistributionPoint([PLACE], None, frozenset({x509.ReasonFlags.key_compromise}), [DIRECTORY]),
    x509.DistributionPoint(None, next(iter(name("relative").rdns)), None, None),
)
NOTICE = x509.UserNotice(x509.NoticeReference("Lab", [1, 2, 3]), "a notice")
AUTHORITY = x509.NamingAuthority(IDENTIFIER, "http://lab.example", "Lab")
PROFESSION = x509.ProfessionInfo(AUTHORITY, ["Engineer"], [IDENTIFIER], "7", b"more")
EXTENSIONS: tuple[x509.ExtensionType, ...] = (
    x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, PLACE)]),
    x509.SubjectInformationAccess([x509.AccessDescription(SubjectInformationAccessOID.CA_REPOSITORY, DIRECTORY)]),
    x509.AuthorityKeyIdentifier(bytes(20), [DIRECTORY], 7),
    x509.SubjectKeyIdentifier(bytes(20)),
    x509.BasicConstraints(ca=True, path_length=3),
    x509.CRLDistributionPoints(POINTS),
    x509.FreshestCRL(POINTS[:1]),
    x509.CertificatePolicies([x509.PolicyInformation(IDENTIFIER, ["http://lab.example/cps", NOTICE])]),
    x509.PolicyConstraints(0, 1),
    x509.InhibitAnyPolicy(0),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, IDENTIFIER]),
    usage("digital_signature", "key_agreement", "encipher_only", "key_cert_sign"),
    x509.PrivateKeyUsagePeriod(START, END),
    x509.IssuerAlternativeName([DIRECTORY, PLACE]),
    x509.OCSPNoCheck(),
    x509.PrecertPoison(),
    x509.TLSFeature([x509.TLSFeatureType.status_request, x509.TLSFeatureType.status_request_v2]),
    x509.MSCertificateTemplate(IDENTIFIER, 1, 2),
    x509.Admissions(DIRECTORY, [x509.Admission(DIRECTORY, AUTHORITY, [PROFESSION])]),
    x509.IssuingDistributionPoint([PLACE], None, True, False, None, False, False),
    x509.CRLNumber(7),
)
_TIMESTAMP = b"\0" + bytes(32) + bytes(8) + b"\0\0" + b"\4\3" + b"\0\2\x30\0"
"""RFC 6962, 3.2: version, log, time, no extensions, ECDSA with SHA-256, a signature that nobody made."""
RAW = {
    "1.3.6.1.4.1.11129.2.4.2": value(OCTET_STRING, b"\0\x33\0\x31" + _TIMESTAMP),
    "2.5.29.33": value(SEQUENCE, value(SEQUENCE, oid("1.2.3"), oid("1.2.4"))),
    "2.5.29.9": value(
        SEQUENCE, value(SEQUENCE, oid("1.3.6.1.5.5.7.9.1"), value(0x31, value(0x18, b"19700101000000Z")))
    ),
    "2.16.840.1.113730.1.1": value(0x03, b"\x06\xc0"),
    "2.16.840.1.113730.1.13": value(0x16, b"a comment"),
    "2.5.29.21": value(0x0A, b"\1"),
    "2.5.29.24": value(0x18, b"20260101000000Z"),
    "2.5.29.29": value(SEQUENCE, value(0xA4, value(SEQUENCE))),
}
"""Those that it has none for, or not in certificates."""


def known_extensions() -> dict[str, bytes]:
    """All of them (Extension, DER) by identifier."""
    made = {each.oid.dotted_string: extension(each.oid.dotted_string, each.public_bytes()) for each in EXTENSIONS}
    return made | {kind: extension(kind, content) for kind, content in RAW.items()}
