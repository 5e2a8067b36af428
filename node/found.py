"""What lay on a node's disk when a service started: by it is told what a restart would change (A.10, R-118).

News of a change comes when it comes: late, if the node was away, or of what has been undone since. So a service is not
to be restarted because something was heard of, but because something lies there that it did not find.
"""

from collections.abc import Mapping

import msgspec

Lying = str | tuple[bytes, ...]
"""Of an identity unit its fingerprint, empty if there is none; of a trust unit its certificates, DER."""


def is_same(one: Lying | None, other: Lying) -> bool:
    """Whether a unit holds the same; in which order files are read changes nothing that is to be restarted for."""
    if one is other or isinstance(one, str) or isinstance(other, str) or one is None:
        return one == other
    return set(one) == set(other)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """That something was changed on another node."""

    happened: int | None
    """The lab instant, by the publisher's clock and this node's own; None: it has just happened."""
    copies: tuple[tuple[str, bytes], ...]
    """What it puts into trust units of this node, DER."""

    def is_older(self, *, found: Mapping[str, Lying], since: int) -> bool:
        """Whether a service that started then, and found that, started after the change.

        What it found is certain where the change put something here. Else clocks must tell, as nothing of it lies here.
        """
        if self.happened is None:
            return False
        if self.copies:
            return all(der in found.get(unit, ()) for unit, der in self.copies)
        return since >= self.happened
