"""The table of what MQTT demands names tests and op-scripts that there are."""

import re
import tomllib
from pathlib import Path

from tests.contract.scripts import BOOK

TESTS = Path(__file__).parents[2]
ROWS: list[tuple[str, str, str, list[str]]] = tomllib.loads(
    Path(__file__).with_name("statements.toml").read_text(encoding="utf-8")
)["rows"]
PLACES = ("unit/broker", "contract", "integration")


def test_every_statement_has_proofs_that_there_are() -> None:
    files = [path for place in PLACES for path in (TESTS / place).glob("test_*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    there = set(re.findall(r"^(?:async )?def (test_\w+)|^(Test\w+) =", text, re.MULTILINE))
    names = {name for pair in there for name in pair} | {f"script: {script.name}" for script in BOOK.script}

    for old, new, statement, proofs in ROWS:
        assert all(re.fullmatch(r"-|\d(\.\d+){1,2}", clause) for clause in (old, new)), statement
        assert proofs, statement
        assert set(proofs) <= names, (statement, set(proofs) - names)
    assert len({statement for _, _, statement, _ in ROWS}) == len(ROWS)


def test_every_script_proves_a_statement() -> None:
    named = {proof for *_, proofs in ROWS for proof in proofs}

    # It shows a code that a server need not send.
    assert {f"script: {script.name}" for script in BOOK.script} - named == {"script: nobody listens"}
