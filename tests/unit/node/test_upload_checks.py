"""Uploads with OCSP on: the last check before the files (R-159, B.10)."""

from datetime import timedelta

import pytest

from tests.unit.node.responders import Desk, World
from ucmlab.broker.messages import Proposal
from ucmlab.node.certificates import parse, pem
from ucmlab.node.commands import AskOcsp, Reply, WriteFile
from ucmlab.node.events import BusConnected, Delete, Upload
from ucmlab.node.instant import SECOND


def trusting(signer: str = "ca", *, cc: bool = False) -> Desk:
    """A node with OCSP on that has the root, on the bus with its publisher."""
    desk = Desk(signer, cc=cc, on=False)
    desk.play.does(BusConnected())
    desk.play.hears_birth()
    desk.play.does(Upload("root", "tomcat-trust", desk.world.root))
    desk.play.hears_answer("root")
    desk.set(**{"Enable OCSP": "true"})
    return desk


def upload(desk: Desk, data: bytes, *, op_id: str = "u1") -> list[AskOcsp]:
    """Upload it; whom that asks."""
    return [each for each in desk.play.does(Upload(op_id, "tomcat-trust", data)) if isinstance(each, AskOcsp)]


def reply(desk: Desk, op_id: str = "u1") -> Reply | None:
    return next((each for each in desk.play.all(Reply) if each.op_id == op_id), None)


@pytest.mark.rule("R-159", "B.10")
def test_an_upload_asks_once_and_writes_nothing_before_the_answer() -> None:
    desk = trusting()
    leaf = desk.world.leaf()
    (asked,) = upload(desk, leaf)
    assert parse(leaf).fingerprint not in desk.play.files()
    assert (desk.play.core.status().open_operations, desk.play.said(Proposal)[-1].op_id) == (1, "root")
    desk.answer(asked)
    assert parse(leaf).fingerprint in desk.play.files()
    assert desk.play.said(Proposal)[-1].op_id == "u1"
    assert [each["reason"] for each in desk.facts("ocsp_query")] == ["upload"]
    desk.play.hears_answer("u1")
    assert desk.play.replies()[-1] == ("u1", "done", "")


@pytest.mark.rule("R-158", "R-159")
def test_with_ocsp_off_nothing_is_asked() -> None:
    desk = trusting()
    desk.set(**{"Enable OCSP": "false"})
    leaf = desk.world.leaf()
    desk.world.revoke(leaf)
    assert upload(desk, leaf) == []
    assert parse(leaf).fingerprint in desk.play.files()


@pytest.mark.rule("R-159", "R-168", "R-170")
@pytest.mark.parametrize("cc", [True, False])
def test_what_was_revoked_is_refused(cc: bool) -> None:  # noqa: FBT001
    desk = trusting(cc=cc)
    leaf = desk.world.leaf()
    desk.world.revoke(leaf)
    (asked,) = upload(desk, leaf)
    desk.answer(asked)
    said = reply(desk)
    assert said is not None
    assert (said.outcome, said.reason) == ("refused", "revoked")
    assert said.text == "The certificate has been revoked: CN=ldap.corp.test, keyCompromise"
    assert parse(leaf).fingerprint not in desk.play.files()
    assert desk.play.core.status().open_operations == 0


@pytest.mark.rule("R-169", "R-170")
@pytest.mark.parametrize(("cc", "outcome"), [(True, ("refused", "revocation_unknown")), (False, ("done", ""))])
def test_what_the_responder_does_not_know(cc: bool, outcome: tuple[str, str]) -> None:  # noqa: FBT001
    desk = trusting(cc=cc)
    leaf = desk.world.leaf()
    del desk.world.office.books.issued[parse(leaf).serial]
    (asked,) = upload(desk, leaf)
    desk.answer(asked)
    desk.play.hears_answer("u1")
    said = reply(desk)
    assert said is not None
    assert (said.outcome, said.reason) == outcome


@pytest.mark.rule("R-164", "R-170", "B.16")
@pytest.mark.parametrize(("cc", "outcome"), [(True, ("refused", "revocation_unavailable")), (False, ("done", ""))])
def test_without_an_answer_the_upload_waits_no_longer_than_the_deadline(
    cc: bool,  # noqa: FBT001
    outcome: tuple[str, str],
) -> None:
    desk = trusting(cc=cc)
    upload(desk, desk.world.leaf())
    desk.play.wait(10 * SECOND)
    desk.play.hears_answer("u1")
    said = reply(desk)
    assert said is not None
    assert (said.outcome, said.reason) == outcome
    told = said.text if cc else "".join(said.warnings)
    assert told.endswith("could not be checked: CN=ldap.corp.test, timeout")
    assert desk.alarms() == ["revocation_status_unavailable"]


@pytest.mark.rule("B.10")
def test_what_another_check_refuses_is_not_asked_about() -> None:
    desk = trusting()
    assert upload(desk, b"no certificate") == []
    said = reply(desk)
    assert said is not None
    assert said.reason == "format"


def test_a_file_with_several_asks_about_each_that_is_not_there_and_did_not_sign_itself() -> None:
    desk = trusting()
    first, second = desk.world.leaf("first"), desk.world.leaf("second")
    for asked in upload(desk, first):
        desk.answer(asked)
    desk.play.hears_answer("u1")
    both = "".join(map(pem, (desk.world.root, first, second))).encode()
    (asked,) = upload(desk, both, op_id="u2")
    assert desk.facts("ocsp_query")[-1]["fingerprint"] == parse(second).fingerprint
    desk.answer(asked)
    assert parse(second).fingerprint in desk.play.files()
    desk.play.hears_answer("u2")
    assert upload(desk, both, op_id="u3") == []
    said = reply(desk, "u2")
    assert said is not None
    assert said.outcome == "done"


def test_one_revoked_certificate_refuses_the_whole_file() -> None:
    desk = trusting()
    good, bad = desk.world.leaf("good"), desk.world.leaf("bad")
    desk.world.revoke(bad)
    asked = upload(desk, "".join(map(pem, (good, bad))).encode())
    assert len(asked) == 2
    for each in asked:
        desk.answer(each)
    said = reply(desk)
    assert said is not None
    assert (said.reason, desk.play.files()) == ("revoked", [parse(desk.world.root).fingerprint])


def test_a_root_is_asked_about_by_nobody() -> None:
    desk = trusting(cc=True)
    other = World(title="Other Root", key="ec-384").root
    assert upload(desk, other) == []
    assert parse(other).fingerprint in desk.play.files()


def test_what_comes_meanwhile_stands_in_line_and_the_same_id_is_the_same_upload() -> None:
    desk = trusting()
    leaf = desk.world.leaf()
    (asked,) = upload(desk, leaf)
    assert upload(desk, leaf) == []
    desk.play.does(Delete("d1", "tomcat-trust", parse(leaf).fingerprint))
    assert reply(desk, "d1") is None
    desk.world.revoke(leaf)
    desk.answer(asked)
    # The upload is refused, so that there is nothing to delete.
    assert [(each[0], each[2]) for each in desk.play.replies()[-2:]] == [("u1", "revoked"), ("d1", "not_found")]


def test_what_is_true_no_more_when_the_answer_comes_is_judged_again() -> None:
    desk = trusting()
    (asked,) = upload(desk, desk.world.leaf(not_after=desk.world.now() + timedelta(seconds=5)))
    desk.play.wait(6 * SECOND)
    desk.answer(asked)
    said = reply(desk)
    assert said is not None
    assert said.reason == "expired"
    assert desk.play.core.status().open_operations == 0


def test_after_a_kill_nothing_waits_any_more() -> None:
    desk = trusting()
    (asked,) = upload(desk, desk.world.leaf())
    desk.play.start()
    desk.answer(asked)
    assert (reply(desk), len(desk.play.all(WriteFile))) == (None, 1)
