"""A will of the publisher's own that comes after its birth is contradicted, or it would stay the last word."""

from tests.playbook import Playbook, publisher
from ucmlab.broker.messages import Birth

BOOT = 1


def hears_own(pub: Playbook, state: str, boot: int) -> list[str]:
    pub.hears_birth("pub", state, boot=boot)
    said: list[str] = [birth.state for birth in pub.said(Birth)]
    pub.commands.clear()
    return said


def up() -> Playbook:
    pub = publisher().up()
    pub.commands.clear()
    return pub


def test_a_will_after_the_birth_is_answered_with_another_birth() -> None:
    pub = up()
    assert hears_own(pub, "up", BOOT) == []
    assert hears_own(pub, "lost", BOOT - 1) == ["up"]
    assert hears_own(pub, "lost", BOOT) == ["up"]
    assert hears_own(pub, "up", BOOT) == []


def test_a_will_before_the_birth_is_not_for_the_birth_is_on_its_way() -> None:
    assert hears_own(up(), "lost", BOOT - 1) == []
