"""How a command gets at a lab: through its control socket while it runs, through its disk when it does not.

Commands call these functions by way of the module, so that tests put a fake lab in their place. What only a lab without
a supervisor needs is imported when there is such a lab: a command against a running one starts in half the time.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from ucmlab.cluster.cli.lablink import LabLink
from ucmlab.cluster.cli.options import up_command
from ucmlab.cluster.cli.snapshot import Outline, State, read_outline, read_state
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labclient import connect
from ucmlab.cluster.provision import LabHome


@contextmanager
def attach(home: LabHome) -> Generator[LabLink]:
    """A lab that runs.

    Raises:
        Unusable: it does not.
    """
    link = try_attach(home)
    if link is None:
        raise Unusable(f"the lab in {home.path} does not run; start it with `{up_command(home.path)}`")
    yield link


def try_attach(home: LabHome) -> LabLink | None:
    """The same, or None when it does not run: by its supervisor, or by nodes that run on their own."""
    link = connect(home.path)
    if link is not None:
        return link
    from ucmlab.cluster.standalone_link import reach  # noqa: PLC0415

    return reach(home)


def dump(home: LabHome) -> tuple[dict[str, object], bool]:
    """The lab's state as `dump` prints it, and whether the lab runs."""
    link = try_attach(home)
    if link is not None:
        return link.dump(), True
    from ucmlab.cluster.cli.atrest import dump_at_rest  # noqa: PLC0415

    return dump_at_rest(home), False


def state(home: LabHome) -> State:
    """The lab's state, typed."""
    return read_state(dump(home)[0])


def look(home: LabHome) -> tuple[dict[str, object], bool]:
    """The state without certificates and rows, and whether the lab runs."""
    link = try_attach(home)
    if link is not None:
        return link.outline(), True
    from ucmlab.cluster.cli.atrest import outline_at_rest  # noqa: PLC0415

    return outline_at_rest(home), False


def outline(home: LabHome) -> Outline:
    """The same, typed."""
    return read_outline(look(home)[0])


def running_outline(home: LabHome) -> Outline:
    """The same of a lab that runs.

    Raises:
        Unusable: it does not.
    """
    with attach(home) as lab:
        return read_outline(lab.outline())


def at_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()
