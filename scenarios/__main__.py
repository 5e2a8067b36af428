"""`ucmlab`: the whole command line, the stories' commands among the others."""

from typing import NoReturn

from ucmlab.cluster.cli.lazy import Entry
from ucmlab.cluster.cli.root import root

COMMANDS = {
    "list": Entry("ucmlab.scenarios.commands:list_stories", "List the stories of the library."),
    "run": Entry("ucmlab.scenarios.commands:run_stories", "Tell stories, and judge them."),
    "replay": Entry("ucmlab.scenarios.replaying:replay", "Play again what the search found."),
}


def main() -> NoReturn:
    """Entry point of `ucmlab`, and of `python -m ucmlab.scenarios`."""
    group = root()
    group.add_entries(COMMANDS)
    group.main(prog_name="ucmlab")


if __name__ == "__main__":
    main()
