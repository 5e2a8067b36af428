"""Cisco Certificate Expiry Monitor: when it looks, what it tells of, to whom (R-171 to R-184, C-54)."""

from datetime import timedelta

import pytest

from tests.playbook import TOPICS, WALL, LogBook, Playbook, config
from tests.unit.node.certificate_factory import certificate
from ucmlab.broker.messages import ServiceOrder
from ucmlab.node.commands import SendMail, SendSyslog
from ucmlab.node.events import DiskImage, FileImage, IdentityMade, Sent
from ucmlab.node.expiry_monitor import SERVICE
from ucmlab.node.instant import DAY, HOUR, MINUTE, to_datetime


def ends(days: float, name: str = "tomcat of sub1") -> bytes:
    """A certificate with so many days left at the beginning."""
    return certificate(name, end=to_datetime(WALL) + timedelta(days=days))


def node(
    tomcat: bytes, *, trust: tuple[FileImage, ...] = (), name: str = "sub1", nodes: tuple[str, ...] = ("pub", "sub1")
) -> Playbook:
    image = DiskImage(boot=0, installed=True, replica=LogBook().image(), identities={"tomcat": tomcat}, files=trust)
    return Playbook(config(name, nodes=nodes), image=image)


def started(tomcat: bytes) -> Playbook:
    """A node at its boot, without mail."""
    return begin(node(tomcat))


def begin(sub: Playbook) -> Playbook:
    sub.start()
    sub.connect()
    return sub


def mailing(tomcat: bytes, ids: str = "admin@lab.test", **settings: str) -> Playbook:
    sub = node(tomcat)
    sub.settings = {
        ("cucm", "Enable E-mail Notification"): "true",
        ("cucm", "E-mail IDs"): ids,
        **{("cucm", name.replace("_", " ")): value for name, value in settings.items()},
    }
    return begin(sub)


def order(sub: Playbook, action: str) -> None:
    """An operator orders the monitor about."""
    topic = TOPICS.service_order(sub.config.name, SERVICE)
    sub.hears("pub", topic, ServiceOrder(f"op-{sub.lab}-{action}", SERVICE, action, sub.lab + MINUTE))


def hours(sub: Playbook, kind: str = "monitor_run") -> list[float]:
    """The instants of events, in hours of lab time."""
    return [at / HOUR for at, record in sub.journal if record.name == kind]


def alarms(sub: Playbook) -> list[object]:
    return [record.fields["alarm"] for record in sub.records("alarm")]


def texts(sub: Playbook) -> list[str]:
    """What syslog got."""
    return [each.text for command in sub.all(SendSyslog) for each in command.messages]


def renew(sub: Playbook) -> None:
    sub.does(IdentityMade("tomcat", ends(1800)))


@pytest.mark.rule("R-181", "R-172")
def test_it_runs_at_once_and_then_every_day() -> None:
    sub = started(ends(1800))
    sub.wait(3 * DAY)
    assert hours(sub) == [0, 24, 48, 72]
    assert alarms(sub) == []


@pytest.mark.rule("R-182", "C-54")
def test_after_a_restart_the_next_run_is_a_day_later() -> None:
    sub = started(ends(1800))
    sub.wait(44 * HOUR)
    order(sub, "restart")
    sub.wait(2 * DAY)
    assert hours(sub) == [0, 24, 68, 92]


@pytest.mark.rule("R-173")
def test_a_stopped_service_neither_looks_nor_tells() -> None:
    sub = mailing(ends(0.5), Notification_Frequency_Unit="hours", Notification_Frequency="1")
    order(sub, "stop")
    sub.commands.clear()
    sub.wait(3 * DAY)
    assert (sub.records("monitor_run"), sub.records("alarm"), sub.all(SendMail)) == ([], [], [])
    order(sub, "start")
    sub.wait(DAY)
    assert [hours for hours in hours(sub) if hours > 0] == [96]


def test_a_boot_is_no_restart_of_the_service() -> None:
    sub = started(ends(1800))
    sub.wait(20 * HOUR)
    begin(sub)
    sub.wait(DAY)
    assert hours(sub) == [0, 20, 44]


@pytest.mark.rule("R-183", "C-54")
def test_at_seven_days_and_less_it_still_runs_every_day() -> None:
    sub = started(ends(8))
    sub.wait(7 * DAY)
    assert hours(sub) == [24.0 * day for day in range(8)]


@pytest.mark.rule("R-184", "C-54")
def test_below_a_day_and_after_the_end_it_runs_every_hour_and_after_renewal_every_day_again() -> None:
    sub = started(ends(23 / 24))
    sub.wait(25 * HOUR + MINUTE)
    assert hours(sub) == [float(hour) for hour in range(26)]
    renew(sub)
    sub.wait(3 * DAY)
    assert hours(sub)[26:] == [26, 50, 74]


def test_what_has_expired_is_told_by_the_nodes_own_clock_and_when_to_look_by_lab_time() -> None:
    sub = started(ends(1800))
    sub.wall_offset = 1900 * DAY
    sub.wait(DAY)
    assert (hours(sub), alarms(sub)) == ([0, 24], ["CertExpired"])
    sub.wall_offset = 0
    sub.wait(HOUR)
    assert (hours(sub), alarms(sub)) == ([0, 24, 25], ["CertExpired"])


@pytest.mark.rule("R-085", "R-178", "B.17")
def test_without_mail_a_notice_is_a_syslog_message_in_the_products_form() -> None:
    sub = started(ends(-1))
    assert sub.all(SendMail) == []
    (text,) = texts(sub)
    ended = (to_datetime(WALL) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert text == (
        "%UC_CERT-0-CertExpired: %[Message=Certificate expiration Notification. Certificate name:tomcat.der Unit:tomcat"
        f" Type:own-cert Expiration:{ended}][AppID=Cisco Certificate Monitor][ClusterID=test][NodeID=sub1]: "
        "Certificate has Expired and needs to be changed at the earliest"
    )


@pytest.mark.rule("R-085", "R-178")
def test_with_mail_it_is_both() -> None:
    sub = mailing(ends(-1))
    (mail,), (syslog,) = sub.all(SendMail), sub.all(SendSyslog)
    assert (mail.server, syslog.server, syslog.protocol) == ("mail.outside", "syslog.outside", "udp")
    assert (mail.sender, mail.recipients) == ("certmonitor@sub1.lab.test", ("admin@lab.test",))
    assert mail.subject == "Certificate expiration notification from sub1.lab.test"
    assert "Certificate name:tomcat.der Unit:tomcat Type:own-cert" in mail.text
    assert "Certificate has Expired" in mail.text
    assert [record.fields["recipients"] for record in sub.records("mail")] == ["admin@lab.test"]


@pytest.mark.rule("R-176")
@pytest.mark.parametrize("days", [1, 30, 365])
def test_the_first_notice_is_no_earlier_than_notification_start_time(days: int) -> None:
    sub = mailing(ends(days + 2.5), Notification_Start_Time=str(days))
    sub.wait(2 * DAY)
    assert (sub.records("alarm"), sub.all(SendMail)) == ([], [])
    sub.wait(DAY)
    assert (len(sub.all(SendMail)), hours(sub, "alarm")) == (1, [72])


@pytest.mark.rule("R-177")
@pytest.mark.parametrize(
    ("frequency", "unit", "expected"),
    [
        ("1", "days", [0, 24, 48, 72, 96]),
        ("2", "days", [0, 48, 96]),
        ("7", "days", [0]),
        ("36", "hours", [0, 36, 72]),
        ("5", "hours", [float(hour) for hour in range(0, 98, 5)]),
    ],
)
def test_gaps_between_mails_are_what_was_set_whenever_it_runs(frequency: str, unit: str, expected: list[float]) -> None:
    sub = mailing(ends(25), Notification_Frequency=frequency, Notification_Frequency_Unit=unit)
    sub.wait(97 * HOUR)
    assert hours(sub, "mail") == expected
    assert hours(sub) == [0, 24, 48, 72, 96]


@pytest.mark.rule("R-177")
def test_while_it_runs_every_hour_mails_keep_their_gaps() -> None:
    sub = mailing(ends(-1), Notification_Frequency="3", Notification_Frequency_Unit="hours")
    sub.wait(9 * HOUR)
    assert hours(sub, "mail") == [0, 3, 6, 9]
    assert len(alarms(sub)) == 10


def test_a_reminder_between_two_runs_names_nothing_that_was_renewed() -> None:
    sub = mailing(ends(25), Notification_Frequency="5", Notification_Frequency_Unit="hours")
    sub.wait(6 * HOUR)
    renew(sub)
    sub.wait(10 * DAY)
    assert hours(sub, "mail") == [0, 5]


def test_certificates_that_are_due_together_share_a_mail_and_each_has_its_own_gap() -> None:
    later = FileImage("tomcat-trust", "Corp_Root.pem", ends(31.5, "Corp Root"))
    sub = node(ends(20), trust=(later, FileImage("ipsec-trust", "Other.pem", ends(20, "Other"))))
    sub.settings = {("cucm", "Enable E-mail Notification"): "true", ("cucm", "E-mail IDs"): "a@lab.test"}
    begin(sub).wait(10 * DAY)
    named = [mail.text.count("Certificate name:") for mail in sub.all(SendMail)]
    assert (hours(sub, "mail"), named) == ([0, 48, 168, 216], [2, 1, 2, 1])
    assert "Certificate name:Corp_Root.der Unit:tomcat-trust Type:trust-certs" in sub.all(SendMail)[1].text


@pytest.mark.rule("R-180")
@pytest.mark.parametrize(
    ("ids", "recipients"),
    [
        ("a@lab.test;b@lab.test", ("a@lab.test", "b@lab.test")),
        (" a@lab.test ; ;b@lab.test;", ("a@lab.test", "b@lab.test")),
        ("a@lab.test,b@lab.test", ("a@lab.test,b@lab.test",)),
    ],
)
def test_recipients_are_separated_by_semicolons_alone(ids: str, recipients: tuple[str, ...]) -> None:
    (mail,) = mailing(ends(3), ids).all(SendMail)
    assert mail.recipients == recipients


@pytest.mark.rule("R-180")
def test_an_address_that_the_server_refuses_is_an_alarm_and_the_others_have_the_mail() -> None:
    sub = node(ends(3))
    sub.settings = {
        ("cucm", "Enable E-mail Notification"): "true",
        ("cucm", "E-mail IDs"): "a@lab.test,b@lab.test; c@lab.test",
    }
    sub.outside = lambda command: Sent(
        command.token, refused=("a@lab.test,b@lab.test",) if isinstance(command, SendMail) else ()
    )
    begin(sub)
    assert alarms(sub) == ["CertValidfor7days", "mail_refused"]
    assert sub.records("alarm")[-1].fields["recipients"] == "a@lab.test,b@lab.test"
    assert [record.fields["recipients"] for record in sub.records("mail")] == ["c@lab.test"]


@pytest.mark.rule("R-178")
def test_without_anybody_to_mail_to_nothing_is_mailed() -> None:
    assert mailing(ends(3), " ; ").all(SendMail) == []
    sub = mailing(ends(3))
    sub.core.context.set_parameters["cucm", "Enable E-mail Notification"] = "false"
    sub.wait(7 * DAY)
    assert len(sub.all(SendMail)) == 1


@pytest.mark.rule("R-174")
def test_what_is_set_for_unified_cm_is_nothing_to_im_and_presence() -> None:
    settings = {("cucm", "Enable E-mail Notification"): "true", ("cucm", "E-mail IDs"): "a@lab.test"}
    for name, mails in (("sub1", 1), ("imp1", 0)):
        each = node(ends(3), name=name, nodes=("pub", "sub1", "imp1"))
        each.settings = settings
        assert len(begin(each).all(SendMail)) == mails
    each = node(ends(3), name="imp1", nodes=("pub", "sub1", "imp1"))
    each.settings = {("imp", name): value for (_, name), value in settings.items()}
    assert len(begin(each).all(SendMail)) == 1


def test_what_follows_from_a_run_has_it_as_its_cause() -> None:
    sub = mailing(ends(3))
    run, alarm, mail = (sub.records(name)[0] for name in ("monitor_run", "alarm", "mail"))
    assert (alarm.cause, mail.cause) == (run.id, run.id)
    assert run.fields["next"] == "24h"
