"""The alarms (domain.md B.17): how bad each is, what it is called in syslog, and when a certificate's is raised."""

import ast

import pytest

from tests.rules import ROOT
from tests.unit.node.rule_tables import books, differences, read
from ucmlab.node.alarm_rows import notice_for
from ucmlab.node.instant import DAY, SECOND
from ucmlab.node.rulebook import RuleBook

ALARMS = """
    # name                   severity  facility        application                   under  text
    CertExpired              0         UC_CERT         Cisco Certificate Monitor     0      Certificate has Expired and needs to be changed at the earliest   # B.17, K29
    CertValidLessThanADay    1         UC_CERT         Cisco Certificate Monitor     1      Certificate expires in less than a day                            # B.17
    CertValidfor7days        2         UC_CERT         Cisco Certificate Monitor     7      Certificate expires in less than 7 days                           # B.17
    CertValidLessThanMonth   4         UC_CERT         Cisco Certificate Monitor     30     Certificate expires in less than 30 days                          # B.17
    CertValidityOver30Days   6         UC_CERT         Cisco Certificate Monitor     366    Certificate expires in more than 30 days                          # B.17
    mail_unreachable         4         UCMLAB_MAIL     Cisco Certificate Monitor     -      The mail server does not take mail; it is tried again             # ours
    mail_lost                3         UCMLAB_MAIL     Cisco Certificate Monitor     -      Mail could not be delivered and was thrown away                   # ours
    mail_refused             4         UCMLAB_MAIL     Cisco Certificate Monitor     -      The mail server refuses a recipient or a mail for good            # R-180
    syslog_unreachable       4         UCMLAB_SYSLOG   Cisco Syslog Agent            -      The syslog collector does not take messages; it is tried again    # ours
    syslog_lost              3         UCMLAB_SYSLOG   Cisco Syslog Agent            -      Syslog messages could not be delivered and were thrown away       # ours
    command_failed           3         UCMLAB_NODE     Cisco Certificate Management  -      Something could not be written, read or made on this node         # ours
    duplicate_node           1         UCMLAB_NODE     Cisco Cluster Manager         -      Somebody else joined the bus under this node's name               # ours
    keys_not_opened          3         UCMLAB_NODE     Cisco Certificate Management  -      Keys that were sealed to this node do not open here               # ours
    digest_mismatch          2         UCMLAB_DB       Cisco Database Layer Monitor  -      Two nodes at the same position of the log hold different rows     # B.17
    log_fork                 1         UCMLAB_DB       Cisco Database Layer Monitor  -      The log of the cluster has two versions                           # B.17
    service_crashed          2         UCMLAB_SERVICE  Cisco Service Manager         -      A service ended by itself                                         # B.17
    service_trouble          3         UCMLAB_SERVICE  Cisco Service Manager         -      A service does not start as it should                             # B.17
    listener_failed          3         UCMLAB_SERVICE  Cisco Service Manager         -      A service cannot listen where it should                           # ours
    directory_sync_failed    3         UCMLAB_DIRECTORY  Cisco DirSync               -      The directory could not be connected to; it is tried again at the next synchronization  # R-024
    mode_not_carried_out     3         UCMLAB_NODE     Cisco Certificate Management  -      A mode of the platform was not carried out in full                # ours
    CRLChanged                     6         UC_CERT         Cisco Certificate Monitor     -      The certificate revocation list has changed                      # B.16
    crl_unavailable                4         UCMLAB_CERT     Cisco Certificate Monitor     -      The certificate revocation list cannot be had, or not be believed  # ours
    certificate_revoked            2         UCMLAB_CERT     Cisco Certificate Monitor     -      A certificate was revoked by its CA                              # R-168
    revocation_status_unavailable  4         UCMLAB_CERT     Cisco Certificate Monitor     -      Whether a certificate was revoked could not be found out         # R-164
    revocation_check_late          4         UCMLAB_CERT     Cisco Certificate Monitor     -      A scheduled check was due before the last one had ended          # ours
"""  # noqa: E501  a table
COLUMNS = "name severity facility application under text"
BUILT = {"mail_unreachable", "mail_lost", "mail_refused", "syslog_unreachable", "syslog_lost"}
"""Whose names `ucmlab.node.sending` puts together."""
NAMED_IN_TABLES = {row.alarm for row in RuleBook.load("14SU2").revocation.verdicts.values() if row.alarm}
"""Of `revocation.toml`."""


def alarm(row: dict[str, str]) -> dict[str, object]:
    return {
        **{field: row[field] for field in ("facility", "application", "text")},
        "severity": int(row["severity"]),
        "under_days": int(row["under"]) if row["under"] else None,
    }


@pytest.mark.rule("R-085", "B.17")
def test_the_alarms_of_each_release() -> None:
    expected = {row["name"]: alarm(row) for row in read(ALARMS, COLUMNS)}
    for _, _, book in books():
        assert differences(book.alarms, expected) == []


def test_the_alarm_of_a_certificate_is_by_what_is_left_of_it() -> None:
    alarms = RuleBook.load("14SU2").alarms.values()
    named = {
        left: notice_for(alarms, left).name
        for left in (-400 * DAY, -1, 0, DAY - 1, DAY, 7 * DAY - 1, 7 * DAY, 30 * DAY - 1, 30 * DAY, 365 * DAY)
    }
    assert list(named.values()) == [
        "CertExpired",
        "CertExpired",
        "CertValidLessThanADay",
        "CertValidLessThanADay",
        "CertValidfor7days",
        "CertValidfor7days",
        "CertValidLessThanMonth",
        "CertValidLessThanMonth",
        "CertValidityOver30Days",
        "CertValidityOver30Days",
    ]
    with pytest.raises(ValueError, match="empty"):
        notice_for(alarms, 366 * DAY + SECOND)


def test_every_alarm_that_the_code_raises_has_a_row_and_no_other_has_one() -> None:
    found = BUILT | NAMED_IN_TABLES
    for folder in ("node", "publisher"):
        for path in sorted((ROOT / folder).glob("*.py")):
            found |= {name for call in ast.walk(ast.parse(path.read_text())) if (name := raised(call))}
    notices = {name for name, row in RuleBook.load("14SU2").alarms.items() if row.under_days is not None}
    assert set(RuleBook.load("14SU2").alarms) == found | notices


def raised(node: ast.AST) -> str:
    """The alarm that a call raises by its name; empty for any other expression."""
    match node:
        case ast.Call(func=ast.Attribute(attr="alarm"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case _:
            return ""
