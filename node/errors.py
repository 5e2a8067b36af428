"""What a node says no with. Refusing is normal: it is the answer to an operator, never a fault of ours."""


class Refusal(Exception):
    """An operation may not be carried out, and nothing was changed.

    `reason` is a word of the contract (design 7.2) and stable. `text` is our account of what exactly is wrong, the
    `detail` of the product text that `RuleBook.refusal_text` makes. Neither ever quotes what was uploaded beyond
    names and dates of certificates.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text


class SealBroken(Exception):
    """Sealed material does not open here: another recipient's, bound to another operation, or changed on the way."""

    def __init__(self) -> None:
        super().__init__("the sealed material does not open: wrong recipient, wrong operation, or changed on the way")
