"""Reuse Certificate: tomcat's multi-server certificate stands in for CallManager's (B.3), so one is to be managed."""

from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.context import Context
from ucmlab.node.csr_reading import is_multi_server
from ucmlab.node.errors import Refusal
from ucmlab.node.events import ReuseCertificate


def judge_reuse(context: Context, identities: dict[str, bytes], request: ReuseCertificate) -> Certificate:
    """The certificate that is to stand in; that its chain is in the unit's trust store is for the caller to see.

    The product hides the CallManager certificate from then on; here it is listed, as what it is.

    Raises:
        Refusal: the release, the unit or the certificate does not allow it.
    """
    context.rulebook.require("reuse_certificate")
    profile = context.rulebook.identities.get(request.unit)
    if profile is None or not profile.reuses or context.config.role not in profile.roles:
        raise Refusal("wrong_purpose", "only CallManager and CallManager-ECDSA take the certificate of tomcat's")
    if profile.reuses not in identities or request.unit not in identities:
        raise Refusal("not_found", "the installation has not made it yet")
    certificate = parse(identities[profile.reuses])
    if not is_multi_server(certificate.common_name):
        raise Refusal("wrong_purpose", f"{profile.reuses} has no multi-server certificate")
    return certificate
