"""What the product says when it refuses (B.10), word by word; where that is not public, our wording."""

import pytest

from tests.unit.node.rule_tables import books

PUBLISHED = {
    "csr_missing": "File /{folder}/keys/{unit}.csr does not exist",
    "key_mismatch": "CSR Public Key and Certificate Public Key do not match",
    "san_mismatch": "CSR SAN and Certificate SAN does not match",
    "chain_incomplete": "CA certificate is not available in the trust-store",
    "format": "Certificate is not in PEM format: {detail}",  # K31; what comes after the colon is ours
    "not_a_default_ca": "The {unit} certificate is not in the list of default Cisco CA certificates.",
}
OURS = {
    "parameter_place": "{detail}",
    "parameter_value": "{detail}",
    "not_activated": "Service Not Activated: {detail}",  # W2.2; what comes after the colon is ours
    "service_stopped": "The service does not run: {detail}",
    "dependency": "The service stands on another one: {detail}",
    "empty": "The uploaded file is empty",
    "private_key": "The uploaded file holds a private key; only certificates may be uploaded",
    "trailing_data": "The uploaded file holds more than the certificate: {detail}",
    "too_large": "The uploaded file is too large: {detail}",
    "key_over_4096": "The certificate's key is longer than 4096 bits: {detail}",
    "key_type": "The certificate's kind of key is not supported: {detail}",
    "key_length": "The key length is not allowed: {detail}",
    "hash_algorithm": "The hash algorithm is not allowed: {detail}",
    "common_name": "The common name is not allowed: {detail}",
    "alternative_name": "The subject alternative name is not allowed: {detail}",
    "wildcard": "Wildcard certificates are not supported: {detail}",
    "expired": "The certificate has expired: {detail}",
    "not_yet_valid": "The certificate is not yet valid: {detail}",
    "validity": "The validity period is not allowed: {detail}",
    "extension_missing": "The certificate lacks an extension that its request asked for: {detail}",
    "signature_algorithm": "The signature algorithm must use RSA encryption",  # R-026's words
    "signature": "The certificate request is not signed with its own key: {detail}",
    "wrong_purpose": "The certificate does not fit the purpose {purpose}",
    "same_cn_older_start": "A certificate with this common name and a later start date is already in {unit}",
    "revoked": "The certificate has been revoked: {detail}",
    "revocation_unknown": "The certificate is not known to its OCSP responder: {detail}",
    "revocation_unavailable": "The revocation status of the certificate could not be checked: {detail}",
    "already_present": "The certificate already exists in {unit}",  # "already exists"
    "not_found": "No such certificate in {unit}",
    "not_deletable": "Only trust certificates can be deleted; {unit} is an identity",  # R-073's words
    "not_regenerable": "Only identity certificates can be regenerated",
    "publisher_only": "This operation on {unit} is allowed on the publisher only",
    "publisher_unreachable": "The publisher's database cannot be reached; {unit} was changed on this node only",
    "node_down": "{node} is down",
    "multi_san_by_cli": (
        "Uploading a multi-SAN certificate from the CLI is not supported; use Cisco Unified OS Administration"
    ),
    "release": "Release {release} does not have this: {detail}",
    "release_unknown": "There is no release {release}: {detail}",
    "release_not_later": "An upgrade to {release} leads to no later release: {detail}",
    "publisher_first": "The publisher is upgraded to {release} first: {detail}",
    "release_mismatch": "A subscriber is upgraded to the release of its publisher, not to {release}: {detail}",
    "upgrade_needs_publisher": "A subscriber is upgraded to {release} with the help of its publisher: {detail}",
    "not_confirmed": "Not confirmed, nothing was changed: {detail}",
    "permission": "This account may not do that",
    "service_failed": "The service failed to start: {detail}",
}


@pytest.mark.rule("B.10")
def test_every_refusal_speaks_as_the_product_does_or_as_we_do() -> None:
    for _, _, book in books():
        assert book.refusals == PUBLISHED | OURS
