"""Pure by default, I/O by name: a module that does no I/O is promised to stay so (`make lint` keeps the promise)."""

import tomllib

import grimp
import pytest

from tests.rules import ROOT

PURE_BY_DEFAULT = ("ucmlab.broker", "ucmlab.node", "ucmlab.publisher")


@pytest.mark.slow
def test_every_module_below_the_lab_that_does_no_io_is_in_the_contract() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)["tool"]["importlinter"]
    (contract,) = [each for each in settings["contracts"] if each["name"] == "The core does no I/O"]
    listed, forbidden = contract["source_modules"], set(contract["forbidden_modules"])
    graph = grimp.build_graph(*settings["root_packages"], include_external_packages=True, cache_dir=None)
    pure = {
        module
        for package in PURE_BY_DEFAULT
        for module in graph.find_descendants(package)
        if not graph.find_children(module) and not forbidden & graph.find_upstream_modules(module)
    }
    missing = {module for module in pure if not any(f"{module}.".startswith(f"{each}.") for each in listed)}
    data = {"ucmlab.node.rules"}  # a package of tables, without code
    assert missing - data == set(), "add them to 'The core does no I/O' in pyproject.toml"
