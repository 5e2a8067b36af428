"""Pages in a story's hands: what is edited and not saved is nobody's (R-206)."""

import pytest

from tests.fakes import FakeLab
from tests.unit.scenarios.told import told
from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios import Lab

PAGE = "Certificate Revocation"


@pytest.mark.rule("R-206")
def test_nothing_is_asked_of_the_lab_before_a_page_is_saved_and_then_all_at_once() -> None:
    port = FakeLab()

    async def story(lab: Lab) -> None:
        page = lab.node("pub").page("certificate revocation")
        page.set("enable ocsp", True)
        page.set("Check Every", 6)
        lab.check((page.value("Enable OCSP"), page.value("Check Every")) == ("true", "6"), "the page shows them")
        lab.check(page.value("Check Every Unit") == "hours", "and what is set")
        lab.check(port.settings == (), "nobody has heard of it")
        (await page.save()).must_be("done")
        kept = [(each.place, each.name, each.value) for each in port.settings]
        lab.check(kept == [("pub", "Enable OCSP", "true"), ("pub", "Check Every", "6")], "both are set", kept)

    result = told(story, port=port)
    assert (result.verdict, result.trouble) == ("held", None)
    assert [each["operation_id"] for each in port.events("operation", "pub")] == ["story-1"]


@pytest.mark.rule("R-206")
def test_what_was_saved_is_not_saved_again_and_what_was_refused_stays_edited() -> None:
    async def story(lab: Lab) -> None:
        page = lab.page("LDAP Directory")
        page.set("LDAP Server", "")
        lab.check(page.value("LDAP Server") == "", "an empty text is a value")
        await lab.node("pub").stop()
        (await page.save()).must_be("refused", "node_down")
        await lab.node("pub").start()
        (await page.save()).must_be("done")
        with pytest.raises(Unusable, match=r"^nothing was edited on the page LDAP Directory$"):
            await page.save()

    assert told(story).verdict == "held"


def test_a_page_or_field_that_there_is_not_is_told_with_those_that_there_are() -> None:
    async def story(lab: Lab) -> None:
        with pytest.raises(
            Unusable, match=r"^there is no page 'Certificates'; there are Enterprise Parameters, Platform"
        ):
            lab.page("Certificates")
        page = lab.page(PAGE)
        for act in (lambda: page.set("Use TLS", True), lambda: page.value("Use TLS")):
            with pytest.raises(
                Unusable, match=r"^there is no 'Use TLS' on the page Certificate Revocation; there are En"
            ):
                act()
        lab.check(True, "told")

    assert told(story).verdict == "held"
