"""Real processes, killed for real: whatever instruction they were at, the disk holds a prefix of what they did."""

import os
import signal
from pathlib import Path

import pytest

from tests.unit.node.disk_model import DiskModel, Script, assert_linked, comparable, seeded
from ucmlab.node.disk import NodeDisk
from ucmlab.node.privatefile import TEMPORARY
from ucmlab.node.rulebook import RuleBook

RULES = RuleBook.load("14SU2")


@pytest.mark.parametrize("seed", range(25))
def test_a_killed_node_finds_a_prefix_of_its_commands(tmp_path: Path, seed: int) -> None:
    random, publisher = seeded(seed), seed % 3 != 0
    commands = Script(random, publisher=publisher).commands(400)
    done = performed_until_killed(tmp_path, seed, publisher=publisher, after=random.randint(0, 300))

    disk = NodeDisk(tmp_path, RULES, publisher=publisher)
    image = comparable(disk.load())
    disk.close()

    model = DiskModel()
    for command in commands[:done]:
        model.fold(command)
    allowed = [comparable(model.image(2))]
    if done < len(commands):
        model.fold(commands[done])
        allowed.append(comparable(model.image(2)))
    assert image in allowed, f"killed after {done} commands, seed {seed}"
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(TEMPORARY)] == []
    assert_linked(tmp_path)


def performed_until_killed(home: Path, seed: int, *, publisher: bool, after: int) -> int:
    """Have a child perform the script; kill it once it has told of `after` commands; return how many it did tell of."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        perform_and_tell(home, seed, publisher=publisher, writer=writer)
    os.close(writer)
    told = 0
    while told < after and (told_now := os.read(reader, after - told)):
        told += len(told_now)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while rest := os.read(reader, 65536):
        told += len(rest)
    os.close(reader)
    return told - 1 if told else 0


def perform_and_tell(home: Path, seed: int, *, publisher: bool, writer: int) -> None:
    """The child: one byte when the disk is loaded, one after each command; then wait to be killed."""
    random = seeded(seed)
    commands = Script(random, publisher=publisher).commands(400)
    disk = NodeDisk(home, RULES, publisher=publisher)
    disk.load()
    os.write(writer, b".")
    for command in commands:
        disk.perform(command)
        os.write(writer, b".")
    signal.pause()
