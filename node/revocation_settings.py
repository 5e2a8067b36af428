"""What an administrator has set about revocation, and what follows from it: on or off, where to ask, how often.

Read anew at each question, as parameters change while a node runs (R-165, R-189..R-193).
"""

from typing import Literal

from ucmlab.node.context import Context
from ucmlab.node.instant import DAY, HOUR
from ucmlab.node.ocsp import responder_of

CONFIGURED = "Use Configured OCSP URI"
Source = Literal["certificate", "configured"]
OF_REVOCATION = frozenset(
    {
        "Enable OCSP",
        "OCSP URI Source",
        "OCSP Configured URI",
        "Enable Revocation Check",
        "Check Every",
        "Check Every Unit",
        "Enable CRL",
        "CRL Distribution Point URI",
        "Certificate Validity Check",
        "Validity Check Frequency",
    }
)
"""Parameters that mean something here."""


class RevocationSettings:
    """As one node reads them."""

    def __init__(self, context: Context) -> None:
        """Read them from the node's parameters."""
        self._parameters = context.parameters

    @property
    def ocsp(self) -> bool:
        """Whether responders are asked; off until somebody enables it (R-158)."""
        return self._parameters.flag("Enable OCSP")

    @property
    def crl(self) -> str:
        """Where the CRL is fetched; empty: nowhere (from 14SU3)."""
        on = self._parameters.flag("Enable CRL")
        return self._parameters.text("CRL Distribution Point URI") if on else ""

    @property
    def common_criteria(self) -> bool:
        """Whether Common Criteria Mode is on, on this node."""
        return self._parameters.flag("Common Criteria Mode")

    @property
    def source(self) -> Source:
        """Whether certificates tell whom to ask, or the administrator."""
        return "configured" if self._parameters.text("OCSP URI Source") == CONFIGURED else "certificate"

    def responder(self, certificate: bytes) -> str:
        """Whom to ask about a certificate (DER); empty: there is nobody. A configured URI leaves no choice (R-165)."""
        if self.source == "configured":
            return self._parameters.text("OCSP Configured URI")
        return responder_of(certificate)

    @property
    def check_every(self) -> int | None:
        """Between two scheduled checks, in lab microseconds; None: there are none (R-190, R-191)."""
        if not (self.ocsp or self.crl) or not self._parameters.flag("Enable Revocation Check"):
            return None
        return self._every

    @property
    def links_every(self) -> int | None:
        """Between two checks of long-lived links; None: they are not checked.

        Enable Revocation Check takes precedence with its interval, be that the longer one (R-193).
        """
        if not self._parameters.flag("Certificate Validity Check"):
            return None
        if self.check_every is not None:
            return self.check_every
        return self._parameters.number("Validity Check Frequency") * HOUR

    @property
    def _every(self) -> int:
        unit = DAY if self._parameters.text("Check Every Unit") == "days" else HOUR
        return self._parameters.number("Check Every") * unit
