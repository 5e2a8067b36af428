"""What the lab says when it cannot do what it was asked."""


class Unusable(Exception):
    """It could not be carried out as asked (no such node, no lab, unreadable file): exit status 2, everywhere.

    The text is one line for the operator: why, and what would work.
    """

    def __init__(self, text: str) -> None:
        """Keep the line."""
        super().__init__(text)
        self.text = text


class Misfit(Unusable):
    """A setting that cannot be, by itself or beside others. Whoever read it from a file adds where it stands."""

    def __init__(self, text: str, *keys: str, index: int | None = None) -> None:
        """Keep the line, and which settings it is about.

        Args:
            text: see `Unusable`.
            keys: the settings, as a lab.toml spells them; the one to change first.
            index: which element of the first it is about, where that is a list.
        """
        super().__init__(text)
        self.keys = keys
        self.index = index


class LabGone(Exception):
    """A lab ended, or broke down, while it was being asked: nobody knows what it still did. Exit status 3."""
