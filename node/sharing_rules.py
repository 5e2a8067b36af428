"""What a peer may put in the place of what a node has: a request or identity of several nodes (B.8), and no other.

Requests and identities of one node are nobody's to replace. Both shells ask this before they store what they opened.
"""

from cryptography.hazmat.primitives.asymmetric import rsa

from ucmlab.broker.messages import Shared
from ucmlab.node.certificates import parse
from ucmlab.node.csr_reading import is_multi_server, read_csr, requested_name
from ucmlab.node.errors import Refusal


def may_be_taken(kind: Shared, der: bytes, family: str) -> bool:
    """Whether a request or certificate (DER) is one of several nodes, with a key of that family (`rsa`, `ec`)."""
    try:
        if kind == "identity":
            certificate = parse(der)
            return certificate.key.partition("-")[0] == family and is_multi_server(certificate.common_name)
        is_rsa = isinstance(read_csr(der).public_key(), rsa.RSAPublicKey)
    except (Refusal, ValueError):
        return False
    return is_rsa == (family == "rsa") and is_multi_server(requested_name(der))
