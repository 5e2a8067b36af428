"""What goes out to servers that are dead, slow or full of nonsense: bounded, in time, told once, and never a storm."""

import pytest

from tests.playbook import Playbook
from ucmlab.node.alarms import MAIL, SYSLOG
from ucmlab.node.commands import GiveUp, SendMail, SendSyslog
from ucmlab.node.events import Sent
from ucmlab.node.instant import DAY, HOUR, MINUTE, SECOND

Command = SendMail | SendSyslog
TROUBLE = "service_trouble"


class Servers:
    """What a node's mail server and collectors do, by name."""

    def __init__(self) -> None:
        self.answers: dict[str, str | None] = {}
        """Server to the error that it answers with; None: nothing at all. Who is not named takes everything."""
        self.taken: list[Command] = []

    def __call__(self, command: Command) -> Sent | None:
        error = self.answers.get(command.server, "")
        if error is None:
            return None
        if not error:
            self.taken.append(command)
        return Sent(command.token, error)

    def messages(self, server: str) -> list[str]:
        """Names of the alarms that a collector has got."""
        found = [each for each in self.taken if isinstance(each, SendSyslog) and each.server == server]
        return [message.message_id for each in found for message in each.messages]


def node(*collectors: str, mail_server: str | None = "", **answers: str | None) -> tuple[Playbook, Servers]:
    """A node with these collectors; `answers` by server."""
    sub, servers = Playbook(), Servers()
    servers.answers = {**answers, "mail.outside": mail_server}
    sub.outside = servers
    names = (f"Remote Syslog Server Name {number}" for number in range(1, 6))
    given = (*collectors, *("",) * 5)
    sub.settings = {("cluster", name): value for name, value in zip(names, given, strict=False)}
    sub.settings["sub1", "Remote Syslog Protocol"] = "tcp"
    sub.up()
    return sub, servers


def alarm(sub: Playbook, number: int = 0) -> None:
    """Something goes wrong on the node, of the operator's concern."""
    context = sub.core.context
    sub.handled(lambda: context.alarm(TROUBLE, service=f"service {number}"))


def mail(sub: Playbook, number: int = 0) -> None:
    sub.handled(lambda: sub.core.alarms.mail(("admin@lab.test",), f"mail {number}", "text"))


def alarms(sub: Playbook) -> list[object]:
    return [record.fields["alarm"] for record in sub.records("alarm") if record.fields["alarm"] != TROUBLE]


def attempts(sub: Playbook, kind: type[Command]) -> int:
    return len(sub.all(kind))


def test_each_collector_that_is_set_gets_a_message_and_one_that_is_named_twice_gets_one() -> None:
    sub, servers = node("a", " b ", "a")
    alarm(sub)
    assert (servers.messages("a"), servers.messages("b")) == ([TROUBLE], [TROUBLE])
    (sent, _) = sub.all(SendSyslog)
    assert (sent.server, sent.protocol) == ("a", "tcp")


def test_without_a_collector_nothing_is_sent() -> None:
    sub, _ = node()
    alarm(sub)
    assert sub.all(SendSyslog) == []


def test_an_alarm_without_a_sentence_of_the_products_says_its_facts() -> None:
    sub, servers = node("a")
    alarm(sub, 7)
    (sent,) = servers.taken
    assert isinstance(sent, SendSyslog)
    assert sent.messages[0].text == (
        "%UCMLAB_SERVICE-3-service_trouble: %[Message=service:service 7][AppID=Cisco Service Manager]"
        "[ClusterID=test][NodeID=sub1]: A service does not start as it should"
    )


@pytest.mark.parametrize("answer", ["Connection refused", None])
def test_an_alarm_about_a_collector_goes_to_the_others_once_an_outage(answer: str | None) -> None:
    sub, servers = node("a", "b", a=answer)
    for number in range(5):
        alarm(sub, number)
        sub.wait(MINUTE)
    assert alarms(sub) == ["syslog_unreachable"]
    assert servers.messages("b").count("syslog_unreachable") == 1
    servers.answers = {}
    sub.wait(HOUR)
    assert servers.messages("a") == [TROUBLE] * 5
    assert servers.messages("b").count(TROUBLE) == 5


def test_two_dead_collectors_tell_of_each_other_and_then_nothing_moves() -> None:
    sub, _ = node("a", "b", a="no", b="no")
    alarm(sub)
    sub.wait(HOUR)
    assert sorted(map(str, alarms(sub))) == ["syslog_lost", "syslog_lost", "syslog_unreachable", "syslog_unreachable"]
    before = attempts(sub, SendSyslog)
    sub.wait(30 * DAY)
    assert attempts(sub, SendSyslog) == before
    assert sub.timers.keys().isdisjoint({"send:syslog:a", "send:syslog:b"})


def test_a_dead_collector_is_tried_again_later_and_later_and_then_what_waits_is_thrown_away() -> None:
    sub, servers = node("a", a="Connection refused")
    alarm(sub)
    tried = []
    for second in range(20 * 60):
        before = attempts(sub, SendSyslog)
        sub.wait(SECOND)
        tried += [second] * (attempts(sub, SendSyslog) - before)
    assert len(tried) == SYSLOG.attempts - 1
    waits = [later - sooner for sooner, later in zip([0, *tried], tried, strict=False)]
    assert all(45 << n <= wait + 1 <= (60 << n) + 2 for n, wait in enumerate(waits))
    assert alarms(sub) == ["syslog_unreachable", "syslog_lost"]
    assert [record.fields["count"] for record in sub.records("syslog_dropped")] == [1]
    servers.answers = {}
    alarm(sub)
    assert servers.messages("a") == [TROUBLE]


def test_who_says_nothing_is_given_up_when_its_time_is_over() -> None:
    sub, _ = node("a", a=None)
    alarm(sub)
    (asked,) = sub.all(SendSyslog)
    sub.wait(SYSLOG.deadline - 1)
    assert sub.all(GiveUp) == []
    sub.wait(1)
    assert sub.all(GiveUp) == [GiveUp(asked.token)]
    assert sub.records("alarm")[-1].fields["error"] == "no answer within 10 s"
    sub.does(Sent(asked.token))  # it comes all the same, too late
    sub.wait(2 * MINUTE)
    assert attempts(sub, SendSyslog) > 1


def test_a_full_queue_drops_the_oldest_counts_them_and_says_so_once() -> None:
    sub, servers = node("a", a=None)
    for number in range(1 + SYSLOG.queue + 10):
        alarm(sub, number)
    assert sum(int(str(record.fields["count"])) for record in sub.records("syslog_dropped")) == 10
    assert alarms(sub) == ["syslog_lost"]
    servers.answers = {}
    sub.wait(HOUR)
    assert len(servers.messages("a")) == SYSLOG.queue
    assert max(len(each.messages) for each in servers.taken if isinstance(each, SendSyslog)) == SYSLOG.batch
    texts = [message.text for each in servers.taken for message in getattr(each, "messages", ())]
    assert [f"[Message=service:service {n}]" in text for n, text in zip(range(11, 267), texts, strict=True)] == [
        True
    ] * SYSLOG.queue


def test_a_dead_mail_server_is_one_alarm_in_syslog_and_the_mail_is_there_when_it_is_back() -> None:
    sub, servers = node("a", mail_server="Connection refused")
    mail(sub, 1)
    mail(sub, 2)
    sub.wait(3 * MINUTE)
    assert alarms(sub) == ["mail_unreachable"]
    assert servers.messages("a") == ["mail_unreachable"]
    servers.answers = {}
    sub.wait(10 * MINUTE)
    assert [each.subject for each in servers.taken if isinstance(each, SendMail)] == ["mail 1", "mail 2"]
    assert [record.fields["subject"] for record in sub.records("mail")] == ["mail 1", "mail 2"]
    servers.answers = {"mail.outside": None}
    mail(sub, 3)
    sub.wait(MINUTE)
    assert alarms(sub) == ["mail_unreachable"] * 2


def test_a_mail_that_is_refused_for_good_is_not_tried_again_and_holds_up_no_other() -> None:
    sub, servers = node("a")
    sub.outside = lambda command: (
        Sent(command.token, "554 no", lasting=True)
        if isinstance(command, SendMail) and command.subject == "mail 1"
        else servers(command)
    )
    mail(sub, 1)
    mail(sub, 2)
    sub.wait(DAY)
    assert (attempts(sub, SendMail), alarms(sub)) == (2, ["mail_refused"])
    assert sub.records("alarm")[0].fields["error"] == "554 no"


def test_mails_that_nobody_takes_are_bounded() -> None:
    sub, _ = node(mail_server=None)
    for number in range(1 + MAIL.queue + 3):
        mail(sub, number)
    assert sum(int(str(record.fields["count"])) for record in sub.records("mail_dropped")) == 3
    sub.wait(DAY)
    assert attempts(sub, SendMail) == MAIL.attempts
    assert alarms(sub) == ["mail_lost", "mail_unreachable"]


def test_without_a_mail_server_nothing_is_mailed() -> None:
    sub, _ = node()
    sub.core.context.set_parameters["sub1", "SMTP Host"] = " "
    mail(sub)
    assert sub.all(SendMail) == []


def test_a_server_that_is_set_no_more_is_forgotten_once_it_has_what_is_its() -> None:
    sub, servers = node("a", a="no", mail_server="no")
    alarm(sub)
    mail(sub)
    settings = sub.core.context.set_parameters
    settings["cluster", "Remote Syslog Server Name 1"] = "b"
    settings["sub1", "SMTP Host"] = "other"
    servers.answers = {}
    sub.wait(5 * MINUTE)
    assert servers.messages("a") == [TROUBLE, "mail_unreachable"]
    assert sub.core.alarms._all() == []


def test_an_answer_that_nobody_waits_for_is_nothing() -> None:
    sub, _ = node("a")
    assert sub.does(Sent("send:syslog:a:1", "too late")) == []
    alarm(sub)
    assert sub.does(Sent("send:syslog:a:1", "too late")) == []
    assert sub.does(Sent("nobody's")) == []
