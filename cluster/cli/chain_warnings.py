"""What a delete does to chains, told before it is confirmed (R-075..R-078)."""

from collections.abc import Callable, Sequence

from ucmlab.cluster.certificate_list import Entry
from ucmlab.cluster.cli.printing import printable
from ucmlab.node.dependants import Held, broken_without, concerned, dependants
from ucmlab.node.rulebook import RuleBook


def chain_warnings(
    listed: Sequence[Entry], unit: str, fingerprint: str, *, rulebook: RuleBook, now: Callable[[], int]
) -> tuple[str, ...]:
    """One line for each certificate of the node that depends on the one to be deleted, nearest first.

    Args:
        listed: the node's certificates.
        unit: the trust unit that it is deleted from.
        fingerprint: the certificate's; one without a file on this node has nobody who depends on it here.
        rulebook: says which identities the unit verifies.
        now: the wall clock, microseconds since 1970; asked for only if somebody depends on the certificate.
    """
    gone = [each.certificate for each in listed if (each.unit, each.certificate.fingerprint) == (unit, fingerprint)]
    held = concerned(rulebook, unit, [Held(each.unit, each.certificate) for each in listed])
    below = dependants(gone, unit, held)
    broken = broken_without(gone, unit, held, wall=now()) if below else ()
    return tuple(_told(each, gone[0].subject, is_broken=each in broken) for each in below)


def _told(held: Held, gone: str, *, is_broken: bool) -> str:
    name = printable(held.name)
    how = "was issued by it" if held.certificate.issuer == gone else "has it further up in its chain"
    if is_broken:
        return f"chain broken: {name} in {held.unit} {how}"
    return f"{name} in {held.unit} {how}, and has another chain or none"
