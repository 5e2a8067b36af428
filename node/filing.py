"""The node's view of its own trust certificate files, and their names (domain.md B.5).

The view is what was on disk at the last reading, kept up with what was asked for since. Services and the admin page
read files only; Change Notification is what makes them follow the rows.
"""

import msgspec

from ucmlab.broker.messages import Row, RowKey
from ucmlab.node.certificates import parse, trust_file_stem
from ucmlab.node.commands import RemoveFile, SettleFile, WriteFile
from ucmlab.node.context import Context
from ucmlab.node.events import FileImage
from ucmlab.node.restarts import Verb


class TrustFile(msgspec.Struct, frozen=True):
    """One file: its name, its content and the operation that is not yet known to be in the log."""

    name: str
    der: bytes
    description: str
    op_id: str


NO_FILES: dict[str, TrustFile] = {}


class Gone(msgspec.Struct, frozen=True):
    """A file that was removed."""

    unit: str
    der: bytes
    op_id: str
    cause: str
    """The id of the record that tells it."""


class Filing:
    """Files by unit and fingerprint."""

    def __init__(self, context: Context) -> None:
        """Empty until `take`."""
        self._context = context
        self._units: dict[str, dict[str, TrustFile]] = {}
        self._twins: dict[tuple[str, str], list[str]] = {}
        """Further files with a certificate that has one; people put files there by hand as well."""
        self._names: dict[str, set[str]] = {}
        """Names of all files by unit, twins too."""
        self._counts: dict[tuple[str, str], int] = {}
        """How many names of a unit and stem are known to be taken from the first on: hundreds may have one stem."""
        self.gone: list[Gone] = []
        """Files removed since somebody last asked; whoever takes note of them empties it."""
        self.touched: dict[RowKey, Verb] = {}
        """Files written (`upload`) or removed (`delete`) since somebody last asked, who empties it."""
        self._contents: dict[str, tuple[bytes, ...]] = {}
        self._taken: tuple[FileImage, ...] | None = None
        """What was read last, while nothing has been asked for since: reading the very same again is no news."""

    def take(self, images: tuple[FileImage, ...]) -> None:
        """Believe the disk."""
        if images is self._taken:
            return
        self._taken = images
        before, self._units = self._units, {}
        self._twins = {}
        self._names = {}
        self._counts = {}
        self._contents = {}
        unit, held = "", dict[str, TrustFile]()
        for image in images:
            fingerprint = parse(image.der).fingerprint
            if image.unit != unit:
                unit, held = image.unit, self._units.setdefault(image.unit, {})
            if fingerprint in held:
                self._twins.setdefault((image.unit, fingerprint), []).append(held[fingerprint].name)
            held[fingerprint] = TrustFile(image.name, image.der, image.description, image.op_id)
            self._names.setdefault(unit, set()).add(image.name)
        self._take_note(before)

    def _take_note(self, before: dict[str, dict[str, TrustFile]]) -> None:
        """What people, or a disk, did to the files is a change like any other."""
        for unit in dict.fromkeys((*before, *self._units)):
            old, new = before.get(unit, NO_FILES), self._units.get(unit, NO_FILES)
            for fingerprint in dict.fromkeys((*old, *new)) if old.keys() != new.keys() else ():
                if (fingerprint in old) != (fingerprint in new):
                    self.touched[unit, fingerprint] = "upload" if fingerprint in new else "delete"

    def get(self, unit: str, fingerprint: str) -> TrustFile | None:
        """The file of that certificate, if there is one."""
        return self._units.get(unit, {}).get(fingerprint)

    def fingerprints(self, unit: str) -> dict[str, TrustFile]:
        """All files of a unit by fingerprint; not to be changed."""
        return self._units.get(unit, {})

    def contents(self, unit: str) -> tuple[bytes, ...]:
        """The certificates of a unit as they are now, DER; the same object until one changes."""
        found = self._contents.get(unit)
        if found is None:
            found = self._contents[unit] = tuple(file.der for file in self._units.get(unit, {}).values())
        return found

    @property
    def by_unit(self) -> dict[str, dict[str, TrustFile]]:
        """Files of all units that have had any; not to be changed."""
        return self._units

    def of_operation(self, op_id: str) -> list[RowKey]:
        """Unit and fingerprint of all files that carry an operation's id."""
        return [
            (unit, fingerprint)
            for unit, held in self._units.items()
            for fingerprint, file in held.items()
            if file.op_id == op_id
        ]

    def units(self) -> tuple[str, ...]:
        """Units that have had files."""
        return tuple(self._units)

    def write(self, row: Row, *, op_id: str = "") -> None:
        """Put the row's certificate in place, unless it is there."""
        if self.get(row.unit, row.fingerprint) is not None:
            return
        name = self._free_name(row)
        self._names.setdefault(row.unit, set()).add(name)
        self._taken = None
        self._units.setdefault(row.unit, {})[row.fingerprint] = TrustFile(name, row.der, row.description, op_id)
        self._context.ask(WriteFile(row.unit, name, row.der, row.description, op_id))
        self._context.record("file_written", op_id, unit=row.unit, fingerprint=row.fingerprint)
        self._touch(row.key, "upload")

    def remove(self, unit: str, fingerprint: str, *, op_id: str = "") -> None:
        """Take the certificate's file away, if it is there."""
        file = self._units.get(unit, {}).pop(fingerprint, None)
        if file is not None:
            self._taken = None
            self._counts = {}
            for name in (file.name, *self._twins.pop((unit, fingerprint), ())):
                self._names[unit].discard(name)
                self._context.ask(RemoveFile(unit, name))
            self._context.record("file_removed", op_id, unit=unit, fingerprint=fingerprint)
            self.gone.append(Gone(unit, file.der, op_id, self._context.cause))
            self._touch((unit, fingerprint), "delete")

    def settle(self, unit: str, fingerprint: str) -> None:
        """Forget the operation id beside a file: the log has it, or has refused it."""
        file = self.get(unit, fingerprint)
        if file is not None and file.op_id:
            self._taken = None
            self._units[unit][fingerprint] = TrustFile(file.name, file.der, file.description, "")
            self._context.ask(SettleFile(unit, file.name))

    def _touch(self, key: RowKey, verb: Verb) -> None:
        self._contents.pop(key[0], None)
        self.touched[key] = verb

    def _free_name(self, row: Row) -> str:
        """`<CN>.pem` or `<CN>_<serial>.pem` by release; a suffix counts up on a collision, as for the hash links."""
        stem = trust_file_stem(row.der, self._context.rulebook.release.trust_file_names)
        taken = self._names.get(row.unit, ())
        count = self._counts.get((row.unit, stem), 0)
        while (name := f"{stem}-{count}.pem" if count else f"{stem}.pem") in taken:
            count += 1
        self._counts[row.unit, stem] = count
        return name
