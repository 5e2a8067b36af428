"""Results as JUnit XML, for pipelines: one test case a story."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from junitparser import Error, Failure
from junitparser.xunit2 import JUnitXml, TestCase, TestSuite

from ucmlab.scenarios.result import Result
from ucmlab.scenarios.telling import Check


def write(path: Path, results: Sequence[Result], unusable: Mapping[str, str]) -> None:
    """Write a suite: `failed` is a failure; `unknown` and what could not be told as asked (name to why) are errors."""
    suite = TestSuite("ucmlab")  # type: ignore[no-untyped-call]  # its author left __init__ bare
    for result in results:
        suite.add_testcase(_case(result))
    for name, why in unusable.items():
        case = TestCase(name, classname="ucmlab")
        case.result = [Error(message=why, type_="unusable")]
        suite.add_testcase(case)
    document = JUnitXml("ucmlab")
    document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    path.parent.mkdir(parents=True, exist_ok=True)
    document.write(str(path), pretty=True)  # pyright: ignore[reportUnknownMemberType]  # IO without its type


def _case(result: Result) -> TestCase:
    case = TestCase(result.story, classname=f"ucmlab.{result.mode}", time=round(result.machine_seconds, 3))
    for name in ("mode", "broker", "seed", "release", "profile", "replication"):
        case.add_property(name, str(getattr(result, name)))
    case.add_property("digest", result.digest)
    if result.verdict == "failed":
        case.result = [Failure(message=_why(result), type_="failed")]
    elif result.verdict == "unknown":
        case.result = [Error(message=_why(result), type_="unknown")]
    case.system_out = f"again: {result.again}"
    return case


def _why(result: Result) -> str:
    failed = [_said(entry) for entry in result.entries if isinstance(entry, Check) and not entry.held]
    return "; ".join([*failed, *([result.trouble.line] if result.trouble else [])])


def _said(check: Check) -> str:
    more = (f"expected {check.expected}" if check.expected else "", f"seen {check.seen}" if check.seen else "")
    return " / ".join(filter(None, (check.text, *more)))
