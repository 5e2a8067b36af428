"""What a person, a pipeline and a later reader get to see."""

# `check` takes its condition first, as design 7.3 spells it

import json
from pathlib import Path

import msgspec
from junitparser.xunit2 import JUnitXml

from tests.fakes import FakeLab
from tests.unit.scenarios.told import as_story, told
from ucmlab.cluster.port import LabFacts, NodeView
from ucmlab.scenarios import Lab, junit, report
from ucmlab.scenarios.result import Options


async def half_right(lab: Lab) -> None:
    """Hold once and fail once."""
    async with lab.step("An empty file is uploaded", expect="refused"):
        (await lab.node("pub").upload("tomcat-trust", b"")).must_be("refused", "empty")
    await lab.wait("1h2m3s")
    lab.check(False, "pigs fly", seen="pigs walking")


async def broken(lab: Lab) -> None:
    """Fail by a mistake of the author's."""
    lab.check(True, "so far, so good")
    raise RuntimeError("the author slipped")


def test_a_report_can_be_read_by_a_person() -> None:
    result = told(half_right)
    lines = report.plain(report.whole(as_story(half_right), Options(), result)).splitlines()
    assert lines[:-1] == [
        "half_right  (sim, seed 1)",
        "  A story of a test.",
        " 0:00:00  An empty file is uploaded",
        "          expect: refused",
        " 0:00:00    upload to tomcat-trust on pub: refused empty",
        " 1:02:03    FAILED  pigs fly",
        "                      seen:     pigs walking",
        f"FAILED  half_right: 2 checks, 1 failed; 1:02:03 of lab time in {result.machine_seconds:.1f} s",
    ]
    assert lines[-1].startswith("  again: ucmlab run ")
    assert lines[-1].endswith("told.py --mode sim --seed 1") or "test_report.py --mode sim --seed 1" in lines[-1]


def test_the_processes_of_a_lab_are_told_before_its_story() -> None:
    class RealLab(FakeLab):
        def view(self, node: str) -> NodeView:
            return msgspec.structs.replace(super().view(node), pid=100 + [*self.nodes].index(node))

        def facts(self) -> LabFacts:
            broker: dict[str, str | int | None] = {"kind": "embedded", "url": "mqtt://127.9.9.1:1883", "pid": 99}
            return msgspec.structs.replace(super().facts(), broker=broker)

    result = told(half_right, port=RealLab())
    lines = report.plain(report.whole(as_story(half_right), Options(), result)).splitlines()
    assert lines[2:7] == [
        " 0:00:00    up      broker  pid 99       mqtt://127.9.9.1:1883",
        " 0:00:00    up      pub     pid 100      127.9.9.11  pub.lab.test, 2 services",
        " 0:00:00    up      sub1    pid 101      127.9.9.12  sub1.lab.test, 2 services",
        " 0:00:00    up      sub2    pid 102      127.9.9.13  sub2.lab.test, 2 services",
        " 0:00:00    ready in 0.0 s",
    ]
    assert result.digest == told(half_right).digest


def test_live_lines_and_the_whole_report_are_the_same() -> None:
    heard: list[object] = []
    result = told(half_right, heard=heard)  # type: ignore[arg-type]  # entries are objects
    assert heard == result.entries


def test_a_report_folder_holds_the_result_the_text_the_journal_and_the_trace(tmp_path: Path) -> None:
    story, options = as_story(broken), Options(report=str(tmp_path))
    result = told(broken)
    report.write(tmp_path, story, options, result)
    folder = tmp_path / "broken"
    written = json.loads((folder / "result.json").read_text())
    assert (written["schema"], written["story"], written["verdict"]) == (1, "broken", "failed")
    assert written["checks"] == [{"text": "so far, so good", "held": True, "at": "2026-01-05T08:01:40Z"}]
    assert "Traceback" not in (folder / "report.txt").read_text()
    assert "RuntimeError: the author slipped (test_report.py:" in (folder / "report.txt").read_text()
    assert "Traceback" in (folder / "trace.txt").read_text()


def test_a_report_of_a_later_run_keeps_no_trace_of_an_earlier_one(tmp_path: Path) -> None:
    report.write(tmp_path, as_story(broken), Options(), told(broken))

    async def mended(lab: Lab) -> None:
        lab.check(True, "all is well")

    mended.__name__ = "broken"
    report.write(tmp_path, as_story(mended), Options(), told(mended))
    assert not (tmp_path / "broken" / "trace.txt").exists()


def test_junit_has_one_case_a_story_with_what_it_takes_to_repeat_it(tmp_path: Path) -> None:
    async def silent(lab: Lab) -> None:
        await lab.wait("1s")

    async def fine(lab: Lab) -> None:
        lab.check(True, "all is well")

    file = tmp_path / "out" / "junit.xml"
    junit.write(file, [told(half_right), told(silent), told(fine)], {"odd": "no such cluster can be"})
    document = JUnitXml.fromfile(str(file))
    assert (document.tests, document.failures, document.errors) == (4, 1, 2)
    [suite] = list(document)
    cases = {case.name: case for case in suite}
    assert cases["half_right"].result[0].message == "pigs fly / seen pigs walking"
    assert cases["silent"].result[0].message == "the story judged nothing"
    assert cases["odd"].result[0].message == "no such cluster can be"
    assert cases["fine"].result == []
    assert {each.name: each.value for each in cases["fine"].properties()}["seed"] == "1"  # type: ignore[attr-defined]  # xunit2 cases have them; the package annotates the plain ones
