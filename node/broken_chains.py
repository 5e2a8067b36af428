"""Tells of chains that broke on this node when trust certificates went: the event `chain_broken` (R-076, C-48).

Files are what counts, as services read nothing else: each node tells it when the delete has reached its files, and one
that keeps a file, for whatever reason, tells nothing. It is told when the event that removed them has been handled:
what takes the place of a removed certificate lies there by then.
"""

from collections.abc import Mapping

from ucmlab.node.certificates import parse
from ucmlab.node.context import Context
from ucmlab.node.dependants import Held, broken_without, concerned
from ucmlab.node.filing import Filing


def tell_broken_chains(context: Context, filing: Filing, identities: Mapping[str, bytes]) -> None:
    """Record each certificate whose chain was whole with the files that are gone, and is not without them.

    Args:
        context: whose wall clock judges, and where it is recorded.
        filing: the node's trust files; it forgets which are gone.
        identities: identity unit to DER.
    """
    gone, filing.gone = filing.gone, []
    for store in dict.fromkeys(each.unit for each in gone):
        of_store = [each for each in gone if each.unit == store]
        files = [Held(store, parse(file.der)) for file in filing.fingerprints(store).values()]
        held = concerned(context.rulebook, store, files + [Held(unit, parse(der)) for unit, der in identities.items()])
        removed = [parse(each.der) for each in of_store]
        context.cause = of_store[-1].cause
        for broken in broken_without(removed, store, held, wall=context.now.wall):
            fingerprint = broken.certificate.fingerprint
            context.record(
                "chain_broken", of_store[-1].op_id, unit=broken.unit, fingerprint=fingerprint, name=broken.name
            )
