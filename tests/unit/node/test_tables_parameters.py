"""What an administrator sets (domain.md A.21): where, what it may be, what holds where nobody has."""

import re

import pytest

from tests.unit.node.rule_tables import books, differences, in_release, read

PARAMETERS = """
    # name                                   page                    scope    kind    default                        accepts                                                                         releases
    HTTPS Ciphers                            Enterprise Parameters   side     choice  RSA Ciphers Only               'RSA Ciphers Only' or 'All Supported EC and RSA Ciphers'                        -       # R-008, R-009
    Phone Interaction on Certificate Update  Enterprise Parameters   cluster  choice  auto                           'auto' or 'manual'                                                              -       # R-116, R-117
    SIP OAuth Mode                           Enterprise Parameters   cluster  flag    false                          true or false                                                                   -       # R-099
    Certificate Validity Check               Enterprise Parameters   cluster  flag    false                          true or false                                                                   -       # R-192
    Validity Check Frequency                 Enterprise Parameters   cluster  number  24                             an integer from 1 to 720 (hours)                                                -       # R-192, R-193
    FIPS Mode                                Platform                node     flag    false                          true or false                                                                   -       # B.16
    Common Criteria Mode                     Platform                node     flag    false                          true or false                                                                   -       # R-170, B.16
    Remote Syslog Server Name 1              Enterprise Parameters   cluster  text    syslog.outside                 a text of one line, of 1024 characters at most    -       # B.17
    Remote Syslog Server Name 2              Enterprise Parameters   cluster  text    -                              a text of one line, of 1024 characters at most    -       # B.17
    Remote Syslog Server Name 3              Enterprise Parameters   cluster  text    -                              a text of one line, of 1024 characters at most    -       # B.17
    Remote Syslog Server Name 4              Enterprise Parameters   cluster  text    -                              a text of one line, of 1024 characters at most    -       # B.17
    Remote Syslog Server Name 5              Enterprise Parameters   cluster  text    -                              a text of one line, of 1024 characters at most    -       # B.17
    Remote Syslog Protocol                   Platform                node     choice  udp                            'udp' or 'tcp'                                                                  -       # B.17
    SMTP Host                                Platform                node     text    mail.outside                   a text of one line, of 1024 characters at most    -       # R-085
    Notification Start Time                  Certificate Monitor     side     number  30                             an integer from 1 to 365 (days)                                                 -       # R-176, R-174
    Notification Frequency                   Certificate Monitor     side     number  7                              an integer from 1 to 365                                                        -       # R-177
    Notification Frequency Unit              Certificate Monitor     side     choice  days                           'days' or 'hours'                                                               -       # R-177
    Enable E-mail Notification               Certificate Monitor     side     flag    false                          true or false                                                                   -       # R-178
    Enable LSC Monitoring                    Certificate Monitor     side     flag    false                          true or false                                                                   -       # R-179
    E-mail IDs                               Certificate Monitor     side     text    -                              a text of one line, of 1024 characters at most                                                              -       # R-180
    Enable OCSP                              Certificate Revocation  side     flag    false                          true or false                                                                   -       # R-158, R-187
    OCSP URI Source                          Certificate Revocation  side     choice  Use OCSP URI from Certificate  'Use OCSP URI from Certificate' or 'Use Configured OCSP URI'                    -       # R-165, R-189
    OCSP Configured URI                      Certificate Revocation  side     text    -                              a text of one line, of 1024 characters at most                                                              -       # R-165
    Enable Revocation Check                  Certificate Revocation  side     flag    false                          true or false                                                                   -       # R-190
    Check Every                              Certificate Revocation  side     number  24                             an integer from 1 to 720                                                        -       # R-191
    Check Every Unit                         Certificate Revocation  side     choice  hours                          'hours' or 'days'                                                               -       # R-191
    Enable CRL                               Certificate Revocation  side     flag    false                          true or false                                                                   14SU3.. # A.19
    CRL Distribution Point URI               Certificate Revocation  side     text    -                              a text of one line, of 1024 characters at most                                                              14SU3.. # A.19
    LDAP Server                              LDAP Directory          cluster  text    -                              a text of one line, of 1024 characters at most                                                              -       # R-024
    Use TLS                                  LDAP Directory          cluster  flag    false                          true or false                                                                   -       # R-024
    Perform a Re-sync Every                  LDAP Directory          cluster  number  168                            an integer from 6 to 8760 (hours)                                               -       # R-024
"""  # noqa: E501  a table
RESTART = {
    "HTTPS Ciphers": ("Cisco Tomcat",),
    "SIP OAuth Mode": ("Cisco CallManager",),  # ours: R-099 has it use tomcat's certificate then
}
COLUMNS = "name page scope kind default accepts releases"
_BOUNDS = re.compile(r"an integer from (\d+) to (\d+)(?: \((\w+)\))?")


def parameter(row: dict[str, str]) -> dict[str, object]:
    """The row's cells; what its kind has no use for is empty."""
    bounds = _BOUNDS.fullmatch(row["accepts"])
    least, most, unit = bounds.groups() if bounds else (0, 0, "")
    return {
        **{field: row[field] for field in ("page", "scope", "kind", "default", "accepts")},
        "choices": tuple(re.findall("'([^']+)'", row["accepts"])),
        "least": int(least),
        "most": int(most),
        "unit": unit or "",
        "restart": RESTART.get(row["name"], ()),
    }


@pytest.mark.rule("B.16")
def test_a_mode_makes_identities_anew_and_nothing_else_does() -> None:
    fips = {"FIPS Mode": ("CallManager", "tomcat", "ipsec", "TVS", "CAPF", "ITLRecovery")}  # B.16; SSH is no unit
    for _, _, book in books():
        assert {row.name: row.regenerates for row in book.parameters.values() if row.regenerates} == fips


@pytest.mark.rule("R-008", "R-010", "R-117", "R-174", "R-187", "R-189")
def test_the_parameters_of_each_release() -> None:
    rows = read(PARAMETERS, COLUMNS)
    for release, _, book in books():
        expected = {row["name"]: parameter(row) for row in rows if in_release(release, row["releases"])}
        assert differences(book.parameters, expected) == []
