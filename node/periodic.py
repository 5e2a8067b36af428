"""Something that is due again and again, at an interval that an administrator may change."""

from ucmlab.node.context import Context


class Periodic:
    """One timer of a node. Without an interval there is none."""

    def __init__(self, context: Context, token: str) -> None:
        """`token` is the timer's; whoever hears it calls `again`."""
        self._context = context
        self._token = token
        self._every: int | None = None
        self._due = 0

    def run(self, every: int | None) -> None:
        """Be due every so many lab microseconds from now on; None: never. The same interval again changes nothing."""
        if every == self._every:
            return
        self._every = every
        if every is None:
            self._context.cancel_timer(self._token)
        else:
            self.again()

    def again(self) -> None:
        """Be due one interval from now."""
        if self._every is not None:
            self._due = self._context.now.lab + self._every
            self.renew()

    def renew(self) -> None:
        """The timer may have been lost: start it again for when it was due."""
        if self._every is not None:
            self._context.start_timer(self._token, max(self._due - self._context.now.lab, 0))
