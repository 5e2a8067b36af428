"""What some releases offer and others do not (A.19), and how they show a certificate (R-056..R-062, X-18)."""

import pytest

from tests.unit.node.rule_tables import books, in_release

FEATURES = {
    "usage_filter": ("14..", "the filter Usage comes with release 14"),
    "multi_san_by_cli": (
        "..14SU2",
        "from release 14SU2 on, a multi-SAN certificate is uploaded in Cisco Unified OS Administration only",
    ),
    "multi_server_self_signed": (  # B.3
        "14..",
        "multi-server certificates that the cluster signs itself come with release 14",
    ),
    "reuse_certificate": ("14..", "Reuse Certificate comes with release 14"),  # B.3
    "itl_signed_by_itlrecovery": ("12.0..", "ITLRecovery signs the ITL file from release 12.0 on"),  # B.11
    "ctl_client": ("..14", "the CTL client is gone with release 14; use utils ctl"),
    "ctl_tokens": ("..14SU3", "the CTL Provider takes no tokens from release 14SU3 on"),
    "crl_download": ("14SU3..", "revocation lists are downloaded from release 14SU3 on"),
    "expired_trust_dropped_at_upgrade": (  # B.19
        "14SU2..",
        "an upgrade to this release keeps expired trust certificates",
    ),
}
"""A.19, all of them: where they are offered, and what is said elsewhere (ours)."""
JDK_LINES = """
[
  Version: V{version}
  Serial Number: {serial}
  SignatureAlgorithm: {algorithm} ({algorithm_oid})
  Issuer Name: {issuer}
  Validity From: {start}
           To:   {end}
  Subject Name: {subject}
  Key: {key} ({key_oid})
    Key Value: {key_value}
  Extensions: {count} present
"""
JDK_EXTENSION = """
  [
     Extension: {name} (OID.{oid})
     Critical: {critical}
     {value}
  ]
"""
BCFIPS_LINES = """
  [0]         Version: {version}
         SerialNumber: {serial}
             IssuerDN: {issuer}
           Start Date: {start}
           Final Date: {end}
            SubjectDN: {subject}
           Public Key: {key} Public Key
              Modulus: {modulus}
  Signature Algorithm: {ALGORITHM}
            Signature: {signature}
           Extensions: {count} present
"""
BCFIPS_EXTENSION = """
                       critical({critical}) {name} value = {value}
"""
NAMES = {
    "2.5.29.14": "SubjectKeyIdentifier",
    "2.5.29.15": "KeyUsage",
    "2.5.29.17": "SubjectAltName",
    "2.5.29.19": "BasicConstraints",
    "2.5.29.30": "NameConstraints",
    "2.5.29.31": "CRLDistributionPoints",
    "2.5.29.32": "CertificatePolicies",
    "2.5.29.35": "AuthorityKeyIdentifier",
    "2.5.29.36": "PolicyConstraints",
    "2.5.29.37": "ExtKeyUsageSyntax",
    "1.3.6.1.5.5.7.1.1": "AuthorityInfoAccess",
    "1.3.6.1.5.5.7.3.1": "Server Authentication",  # T-1
    "1.3.6.1.5.5.7.3.2": "Client Authentication",  # T-1
    "1.3.6.1.5.5.7.3.3": "Code Signing",
    "1.3.6.1.5.5.7.3.4": "E-mail Protection",
    "1.3.6.1.5.5.7.3.5": "IP security end system",  # T-1
    "1.3.6.1.5.5.7.3.8": "Time Stamping",
    "1.3.6.1.5.5.7.3.9": "OCSP Signing",
    "digital_signature": "Digital Signature",  # T-1, as the next four
    "key_encipherment": "Key Encipherment",
    "data_encipherment": "Data Encipherment",
    "key_cert_sign": "Key Cert Sign",
    "key_agreement": "Key Agreement",
    "content_commitment": "Non Repudiation",
    "crl_sign": "CRL Sign",
    "encipher_only": "Encipher Only",
    "decipher_only": "Decipher Only",
}
"""RFC 5280 for what no table of the guide names; extensions as the older library calls them (W3.2)."""
BCFIPS, HEXADECIMAL = "14SU2..", "11.0..14SU2"
"""R-056, X-18. B.5: decimal in older releases, which ones is ours; the newer layout prints decimal (W3.2)."""


def lines(text: str) -> tuple[str, ...]:
    return tuple(text.strip("\n").split("\n"))


@pytest.mark.rule("A.19", "R-053", "R-121")
def test_every_release_offers_what_the_documents_say() -> None:
    for release, _, book in books():
        offered = {name for name, (span, _) in FEATURES.items() if in_release(release, span)}
        assert book.offered == offered
        assert {name: feature.text for name, feature in book.features.items()} == {
            name: text for name, (_, text) in FEATURES.items()
        }
        assert all(feature.name == name for name, feature in book.features.items())


@pytest.mark.rule("R-056", "R-057", "R-058", "R-059", "R-060", "R-061", "R-062", "X-18", "B.5")
def test_every_release_shows_certificates_as_the_documents_say() -> None:
    for release, _, book in books():
        shown = book.display
        newer = in_release(release, BCFIPS)
        assert shown.layout == ("bcfips" if newer else "jdk")
        assert shown.lines == lines(BCFIPS_LINES if newer else JDK_LINES)
        assert shown.extension == lines(BCFIPS_EXTENSION if newer else JDK_EXTENSION)
        assert shown.end == (() if newer else ("]",))
        assert shown.names == ({} if newer else NAMES)
        assert shown.serial == ("hex" if in_release(release, HEXADECIMAL) else "decimal")
