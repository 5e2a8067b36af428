"""Tables T-1, T-1-old and T-2 (domain.md A.4) as the guides print them: MS SA CA IPS DS KE DE KCS KA."""

from tests.unit.node.rule_tables import in_release
from ucmlab.node.rulebook import Role, RuleBook

T_1 = {
    "CallManager CallManager-ECDSA": "YYY.YNY..",
    "CAPF": "NYY.YN.Y.",
    "ipsec": "NYYYYYY..",
    "tomcat tomcat-ECDSA": "YYY.YNY..",
    "TVS": "NYY.YYY..",
}
T_1_OLD = {
    "CallManager CallManager-ECDSA": "YYY.YYY..",
    "CAPF": "NY..YN.Y.",
    "ipsec": "NYYYYYY..",
    "tomcat tomcat-ECDSA": "YYY.YYY..",
    "TVS": "NYY.YYY..",
}
"""The guide is 12.5's; that it holds for the releases before as well is ours."""
T_2 = {
    "cup cup-ECDSA": "NYYYYYY..",
    "cup-xmpp cup-xmpp-ECDSA": "YYYYYYY..",
    "cup-xmpp-s2s cup-xmpp-s2s-ECDSA": "YYYYYYY..",
    "ipsec": "NYYYYYY..",
    "tomcat tomcat-ECDSA": "YYY.YYY..",
}
T_2_ENGLISH_14 = {
    "cup cup-ECDSA": "NYYYYNY..",
    "cup-xmpp cup-xmpp-ECDSA": "YYYYYNY..",
    "cup-xmpp-s2s cup-xmpp-s2s-ECDSA": "YYYYYNY..",
    "ipsec": "NYYYYNY..",
    "tomcat tomcat-ECDSA": "YYY.YNY..",
}
_ALL_FOUR = "digital_signature key_encipherment data_encipherment key_agreement"
PROSE = {
    "CAPF": "server digital_signature key_cert_sign",
    "tomcat": f"server client ipsec {_ALL_FOUR}",
    "tomcat-ECDSA": f"server client ipsec {_ALL_FOUR}",
    "ipsec": f"server client ipsec {_ALL_FOUR}",
    "CallManager": f"server client {_ALL_FOUR}",
    "cup": f"server client ipsec {_ALL_FOUR}",
    "cup-xmpp": f"server client ipsec {_ALL_FOUR}",
}
"""What the chapter's prose lists ask for."""


def marks(release: str, profile: str, role: Role) -> dict[str, str]:
    """The marks of every unit that the release has on nodes of the role: the table counts that the rulings name."""
    if role == "imp":
        table = T_2_ENGLISH_14 if in_release(release, "14..") and profile != "seed" else T_2
    else:
        table = T_1 if in_release(release, "14..") else T_1_OLD
    here = {unit.name for unit in RuleBook.load(release, profile).units_of(role)}
    return {unit: row for units, row in table.items() for unit in units.split() if unit in here}
