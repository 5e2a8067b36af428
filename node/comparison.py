"""The 30-minute comparison as a whole: listed files, unlisted files, identities; and when it need not look again.

What a comparison finds follows from the files on disk, the rows, what is remembered of deletions, and the identities.
If one found nothing to do while nothing was under way, the next one will not either as long as all four are the same:
it tells that it was there, and that is all. The disk is asked each time, because people change it behind the node's
back: a shell that knows that nothing has changed gives the very files that it gave before; what was read anew is
compared.
"""

from collections.abc import Callable

from ucmlab.node.change_notification import ChangeNotification
from ucmlab.node.context import Context
from ucmlab.node.events import FileImage, FilesRead
from ucmlab.node.filing import Filing
from ucmlab.node.operations import Operations
from ucmlab.node.replica import Replica
from ucmlab.node.unlisted_files import UnlistedFiles


class Comparison:
    """Has all compare that have something to compare."""

    def __init__(
        self,
        context: Context,
        filing: Filing,
        replica: Replica,
        *,
        identities: dict[str, bytes],
        change_notification: ChangeNotification,
        unlisted_files: UnlistedFiles,
        operations: Operations,
        up_to_date: Callable[[], bool],
    ) -> None:
        """Nothing has been compared.

        Args:
            context: whose node it is.
            filing: its files.
            replica: its rows.
            identities: unit to certificate (DER); the node's own, read here.
            change_notification: compares listed units.
            unlisted_files: the others.
            operations: puts identities forward that no row names.
            up_to_date: whether the replica has all that answers have told this node of.
        """
        self._context = context
        self._filing = filing
        self._replica = replica
        self._identities = identities
        self._change_notification = change_notification
        self._unlisted_files = unlisted_files
        self._operations = operations
        self._up_to_date = up_to_date
        self._in_order: tuple[FileImage, ...] | None = None
        """The files of a comparison that found nothing to do; then, which rows and identities there were."""
        self._version = 0
        self._named: tuple[bytes, ...] = ()

    def make(self, event: FilesRead) -> None:
        """Compare, unless nothing has changed since there was nothing to do."""
        running = self._change_notification.running
        if running and self._nothing_new(event.files):
            self._filing.take(event.files)  # what was asked for since may have failed
            self._context.record("resync")
            return
        before = len(self._context.commands)
        self._compare(event)
        asked = len(self._context.commands) - before
        idle = running and asked == 1 and not self._operations.open() and self._up_to_date()
        self._in_order = event.files if idle else None
        self._version = self._replica.version
        self._named = tuple(self._identities.values())

    def _compare(self, event: FilesRead) -> None:
        self._change_notification.compare(event)
        self._unlisted_files.mend()
        self._operations.propose_identities()

    def _nothing_new(self, files: tuple[FileImage, ...]) -> bool:
        return (
            files is self._in_order
            and self._version == self._replica.version
            and self._named == tuple(self._identities.values())
        )
