"""Five folders at the root, one name to import: nothing of a user's own `node/` or `tests/` collides, nothing leaks."""

import ast
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from tests.rules import ROOT

FOLDERS = ("broker", "node", "publisher", "cluster", "scenarios")
DATA = {
    "ucmlab/cluster/admin/terminal/commands.toml",
    "ucmlab/cluster/faults/catalogue.toml",
    *(f"ucmlab/cluster/admin/{path.name}" for path in (ROOT / "cluster" / "admin").glob("*.[!p]*")),
    *(f"ucmlab/node/rules/{path.name}" for path in (ROOT / "node" / "rules").glob("*.toml")),
    "ucmlab/node/handshake_reasons.toml",
} | {f"ucmlab/{folder}/py.typed" for folder in ("broker", "node", "publisher", "cluster", "scenarios")}
OWN_SUITE = """\
import cluster, node, scenarios
import ucmlab.cluster, ucmlab.node, ucmlab.scenarios

def test_the_projects_own_folders_are_its_own():
    assert (node.OWNER, cluster.OWNER, scenarios.OWNER) == ("project",) * 3

def test_ucmlab_is_the_installed_one():
    assert ucmlab.node.__file__.startswith({site!r})
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built offline."""
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", target, cwd=ROOT)
    (built,) = target.glob("ucmlab-*.whl")
    return built


@pytest.mark.parametrize("name", FOLDERS)
def test_no_other_distribution_owns_a_folders_name(name: str) -> None:
    assert set(packages_distributions().get(name, [])) <= {"ucmlab"}


def test_the_link_that_gives_the_folders_their_import_name_is_committed_as_a_link() -> None:
    assert (ROOT / ".ns" / "ucmlab").readlink() == Path("..")
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: only the link itself can be looked at")
    mode, *_ = run("git", "ls-files", "--stage", ".ns/ucmlab", cwd=ROOT).split()
    assert mode == "120000"


def test_what_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    declared = {_plain(requirement) for requirement in pyproject()["project"]["dependencies"]}
    undeclared = {
        f"{path.relative_to(ROOT)}: {module}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for module in _top_level_imports(path)
        if module not in ("ucmlab", "pytest") and module not in sys.stdlib_module_names  # pytest brings itself
        if not declared & {_plain(name) for name in distributions.get(module, [])}
    }
    assert undeclared == set()


@pytest.mark.parametrize("group", ["dev", "clients"])
def test_every_name_that_pyproject_asks_for_is_pinned(group: str) -> None:
    project = pyproject()
    asked = project["dependency-groups"][group]
    if group == "dev":
        asked = asked + project["project"]["dependencies"] + project["build-system"]["requires"]
    lines = (ROOT / f"requirements-{group}.lock").read_text(encoding="utf-8").splitlines()
    pinned = {_plain(line) for line in lines if not line.startswith("#")}
    assert {_plain(requirement) for requirement in asked} <= pinned, "run `make lock`"


@pytest.mark.slow
def test_the_wheel_holds_the_five_folders_and_the_licence_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    sources = {f"ucmlab/{path.relative_to(ROOT)}" for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    strangers = {name for name in names - sources - DATA if not name.startswith(f"{info}/")}
    assert sources | DATA | {f"{info}/licenses/LICENSE"} <= names
    assert strangers == set()


@pytest.mark.library
@pytest.mark.slow
def test_the_wheel_lives_beside_a_project_that_has_folders_of_the_same_names(wheel: Path, tmp_path: Path) -> None:
    project, python, site = _project(tmp_path / "project"), *_environment(tmp_path / "env", wheel)
    # On everybody's path, as if the project were installed in the same environment.
    (site / "project.pth").write_text(f"{project}\n", encoding="utf-8")
    (project / "tests" / "test_own.py").write_text(OWN_SUITE.format(site=str(site)), encoding="utf-8")
    theirs = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    ours = run(
        python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/scenarios/test_lab.py", cwd=ROOT
    )
    story = run(python.with_name("ucmlab"), "run", "demo", "--mode", "sim", cwd=project)
    assert "2 passed" in theirs
    assert " passed" in ours
    assert "HELD  demo" in story


def pyproject() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def run(*command: str | Path, cwd: Path) -> str:
    # The environment of the test must not decide where a child finds its packages.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _project(root: Path) -> Path:
    for folder in ("node", "cluster", "scenarios", "tests"):
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").write_text('OWNER = "project"\n', encoding="utf-8")
    return root


def _environment(root: Path, wheel: Path) -> tuple[Path, Path]:
    """A new environment with the wheel in it; what it depends on is borrowed from ours, which needs no network."""
    run(sys.executable, "-m", "venv", "--without-pip", root, cwd=ROOT)
    python = root / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=root).strip())
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps")
    run(*pip, wheel, cwd=root)
    # Behind the environment's own folder, and without what our own .pth files add: the editable ucmlab stays out.
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return python, site


def _top_level_imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}


def _plain(requirement: str) -> str:
    """A requirement's name as indexes compare names."""
    name = requirement
    for separator in "<>=!~;[ @":
        name = name.partition(separator)[0]
    return name.lower().replace("_", "-").replace(".", "-")
