"""Reads the journals that a lab's processes write, as one: in the order in which things happened."""

from pathlib import Path

import msgspec

ORDER = "machine_us"
"""The field that orders lines of different nodes: one clock for all processes of a machine, and a cause takes longer
than a microsecond to have an effect elsewhere. It is for this reader, which takes it away."""
_decoder: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(dict[str, object])


class JournalReader:
    """All `*.jsonl` of a folder. Reads on from where it was, so looking often is cheap."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._folder = folder
        self._positions: dict[Path, int] = {}
        self._events: list[dict[str, object]] = []

    def read(self) -> list[dict[str, object]]:
        """Everything written so far; what was returned before keeps its place."""
        self._events += self.fresh()
        return self._events

    def fresh(self) -> list[dict[str, object]]:
        """What was written since the last reading. Kept nowhere: for readers that go on for weeks."""
        fresh: list[dict[str, object]] = []
        for path in sorted(self._folder.glob("*.jsonl")):
            fresh += self._read_on(path)
        # A cause is written before its effect, by the one clock of all processes; ties have nothing to do with another.
        fresh.sort(key=_moment)
        return [{key: value for key, value in event.items() if key != ORDER} for event in fresh]

    def skip(self) -> None:
        """Pass over what is there; whole lines only, as a line that is being written is read when it is whole."""
        for path in self._folder.glob("*.jsonl"):
            self._positions[path] = path.read_bytes().rfind(b"\n") + 1

    def _read_on(self, path: Path) -> list[dict[str, object]]:
        if path.stat().st_size == self._positions.get(path, 0):
            return []
        with path.open("rb") as file:
            file.seek(self._positions.get(path, 0))
            content = file.read()
        whole = content.rpartition(b"\n")[0]
        # A line that is being written, or that a kill cut off, is read when it is whole, or never.
        self._positions[path] = self._positions.get(path, 0) + (len(whole) + 1 if whole else 0)
        return [_decoder.decode(line) for line in whole.splitlines() if line.startswith(b"{") and line.endswith(b"}")]


def _moment(event: dict[str, object]) -> tuple[int, int]:
    lab, machine = event.get("lab_us"), event.get(ORDER)
    return (lab if isinstance(lab, int) else 0, machine if isinstance(machine, int) else 0)
