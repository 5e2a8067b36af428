"""What the lab says when it cannot do what it was asked."""


class Unusable(Exception):
    """It could not be carried out as asked (no such node, no lab, unreadable file): exit status 2, everywhere.

    The text is one line for the operator: why, and what would work.
    """

    def __init__(self, text: str) -> None:
        """Keep the line."""
        super().__init__(text)
        self.text = text


class LabGone(Exception):
    """A lab ended, or broke down, while it was being asked: nobody knows what it still did. Exit status 3."""
