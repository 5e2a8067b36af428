"""What a client did that the protocol or the broker does not take."""


class Violation(Exception):
    """A packet that ends its connection; caught in `BrokerCore.handle` and nowhere else.

    Args:
        reason: what a version 5 client is told, a `Reason`.
        text: the same in words.
    """

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
