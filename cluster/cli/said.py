"""What the command line and a lab.toml say together, and which of the two to change where that cannot be.

An option goes before a key of the file, but for the nodes: two lists of them are two labs.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ucmlab.cluster.cli.reading import read_file
from ucmlab.cluster.errors import Misfit, Unusable
from ucmlab.cluster.labtoml import SIZE_LIMIT, LabToml, read_lab_toml


class Said:
    """Options of one command, and the file that goes with them."""

    def __init__(self, options: Mapping[str, object], file: LabToml | None) -> None:
        """Put them together; an option that is None was not said.

        Raises:
            Unusable: both name the nodes.
        """
        self._options = {name: value for name, value in options.items() if value is not None}
        self._file = file
        if file is not None and "nodes" in file.values and "nodes" in self._options:
            raise Unusable(f"{file.place('nodes')}: --nodes names them as well; leave out one of the two")

    @property
    def values(self) -> dict[str, object]:
        """What holds, by the names of the file's keys."""
        return (self._file.values if self._file is not None else {}) | self._options

    @contextmanager
    def telling(self, *keys: str) -> Generator[None]:
        """Have whatever is refused inside name its line, if it is the file's.

        Args:
            *keys: what is judged inside, the one to change first; a `Misfit` knows better.
        """
        try:
            yield
        except Misfit as error:
            raise Unusable(self._placed(error.text, error.keys, error.index)) from error
        except Unusable as error:
            raise Unusable(self._placed(error.text, keys)) from error

    def _placed(self, text: str, keys: Sequence[str], index: int | None = None) -> str:
        file = self._file
        said = next((key for key in keys if file and key in file.values and key not in self._options), None)
        if file is None or said is None:
            return text
        # The names of the options alone: a broker's URL may have a password in it.
        others = [f"--{key.replace('_', '-')}" for key in keys if key in self._options]
        beside = f"; {' and '.join(others)} was said on the command line" if others else ""
        return f"{file.place(said, index if said == keys[0] else None)}: {text}{beside}"


def read_config(path: Path) -> LabToml:
    """The file that `--config` names. What it names itself lies beside it.

    Raises:
        Unusable: it cannot be read, or says what cannot be.
    """
    file = read_lab_toml(read_file(str(path), SIZE_LIMIT + 1), where=str(path))
    authority = file.values.get("broker_ca")
    if not isinstance(authority, str):
        return file
    return msgspec.structs.replace(file, values=file.values | {"broker_ca": str(path.parent / authority)})
