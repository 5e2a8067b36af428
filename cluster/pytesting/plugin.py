"""The pytest plugin: `ucmlab_lab` is a lab of real processes for one test, `_module` and `_session` for many.

    @pytest.mark.ucmlab(nodes="pub,sub1", release="14SU2")
    def test_a_renewal(ucmlab_lab): ...

The marker stands on a test, a class or a module (`pytestmark = …`); its keywords are the options of `ucmlab up`, and
the nearest counts. A lab for a whole session is described by the lab.toml that `ucmlab_config` names. Every lab has a
folder and addresses of its own, so that workers of pytest-xdist are in nobody's way.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from ucmlab.cluster.pytesting.keeping import NotStarted, kept_lab
from ucmlab.cluster.pytesting.lab import RunningLab
from ucmlab.cluster.pytesting.options import OPTIONS, command_line
from ucmlab.cluster.pytesting.reports import folder_name, sections

MARKER = "ucmlab(nodes=…, release=…, …): which lab the fixtures ucmlab_lab… start, by the options of `ucmlab up`"
_REPORTS = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what can be said of all labs."""
    parser.addini("ucmlab_config", "the lab.toml of labs that no marker describes otherwise", type="paths", default=[])
    parser.getgroup("ucmlab").addoption(
        "--ucmlab-reports",
        metavar="DIR",
        type=lambda text: Path(text).absolute(),
        help="Where tests that fail keep the files of their labs.  [default: in pytest's temporary folder]",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def ucmlab_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab for this test alone."""
    yield from _lab(request, tmp_path_factory)


@pytest.fixture(scope="module")
def ucmlab_lab_module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab for all tests of a module; described by the module's own marker."""
    yield from _lab(request, tmp_path_factory)


@pytest.fixture(scope="session")
def ucmlab_lab_session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningLab]:
    """A lab for all tests of a session (with pytest-xdist: of a worker); described by `ucmlab_config`."""
    yield from _lab(request, tmp_path_factory)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show in the report of a test that failed how its labs were."""
    report = yield
    if report.failed and call.when != "teardown":
        found = [each for each in getattr(item, "funcargs", {}).values() if isinstance(each, RunningLab)]
        for number, lab in enumerate(dict.fromkeys(found)):
            name = folder_name(item.nodeid) + (f"-{number}" if number else "")
            report.sections += sections(lab, item.config.stash[_REPORTS] / name)
    return report


def _lab(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    if not hasattr(os, "fork"):
        pytest.skip("ucmlab's labs are real processes of a POSIX system, and this is none")
    reports: Path | None = request.config.getoption("ucmlab_reports")
    request.config.stash[_REPORTS] = reports or factory.getbasetemp() / "ucmlab-reports"
    options = _options(request)
    lab = kept_lab(factory.mktemp("ucmlab"), options)
    with ExitStack() as stack:
        yield RunningLab(_entered(stack, lab))


def _entered(stack: ExitStack, lab: AbstractContextManager[Path]) -> Path:
    try:
        return stack.enter_context(lab)
    except NotStarted as error:
        text = str(error)
    pytest.fail(text, pytrace=False)  # out here, where pytest has nothing else to show than the one line


def _options(request: pytest.FixtureRequest) -> list[str]:
    said: dict[str, object] = {}
    for marker in reversed(list(request.node.iter_markers("ucmlab"))):
        if marker.args:
            pytest.fail(f"pytest.mark.ucmlab takes keywords alone, like nodes={marker.args[0]!r}", pytrace=False)
        said |= marker.kwargs
    configs: list[Path] = request.config.getini("ucmlab_config")
    if "config" in said:
        said["config"] = request.config.rootpath / str(said["config"])
    elif configs:
        said["config"] = configs[0]
    unknown = sorted(said.keys() - OPTIONS)
    if unknown:
        known = ", ".join(sorted(OPTIONS))
        pytest.fail(f"pytest.mark.ucmlab has no keyword {unknown[0]!r}; there are {known}", pytrace=False)
    return command_line(said)
