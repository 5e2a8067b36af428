"""The same op-scripts against our broker and against Mosquitto, in both versions, by two kinds of clients."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.contract.brokers import embedded, mosquitto
from tests.contract.script_clients import PahoScriptClient, WireScriptClient
from tests.contract.scripts import BOOK, Difference, MakeClient, Script, play

CLIENTS: dict[str, MakeClient] = {"wire": WireScriptClient, "paho": PahoScriptClient}
CASES = [(script, version, by) for script in BOOK.script for version in script.versions for by in script.by]


@pytest.mark.parametrize(
    ("script", "version", "by"), CASES, ids=[f"{script.name}-{version}-{by}" for script, version, by in CASES]
)
async def test_both_brokers_show_the_same(script: Script, version: int, by: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        ports = (await embedded(stack), await mosquitto(stack, tmp_path))
        ours, theirs = await asyncio.gather(*(play(script, port, version, CLIENTS[by]) for port in ports))

    allowed = {step for each in BOOK.difference if _is_of(each, script, version, by) for step in each.steps}
    different = {
        index: (step, our, their)
        for index, (step, our, their) in enumerate(zip(script.steps, ours, theirs, strict=True))
        if our != their
    }
    assert different.keys() == allowed, different


def test_a_difference_is_one_of_a_script() -> None:
    for each in BOOK.difference:
        script = next(script for script in BOOK.script if script.name == each.script)
        assert set(each.versions) <= set(script.versions)
        assert all(step < len(script.steps) for step in each.steps)
    assert len({script.name for script in BOOK.script}) == len(BOOK.script)


def _is_of(difference: Difference, script: Script, version: int, by: str) -> bool:
    return difference.script == script.name and version in difference.versions and by in difference.by
