"""The same-name rule as a law: whatever is uploaded and deleted, in any order, the store is what it predicts."""

from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.playbook import Playbook, config
from tests.unit.node.certificate_factory import START, certificate, name
from ucmlab.node.certificates import parse
from ucmlab.node.commands import Reply
from ucmlab.node.events import Delete, DiskImage, Upload

UNITS = ("tomcat-trust", "ipsec-trust", "CAPF-trust")
"""A listed one, one that stays where it is, and one that is copied into another (R-019)."""
COPIED = {"CAPF-trust": ("CAPF-trust", "CallManager-trust")}
NAMELESS = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nobody's CA")])
CERTIFICATES = tuple(
    certificate(subject=subject, serial=1 + 100 * number + at, start=START + timedelta(days=start), ca=True)
    for number, subject in enumerate((name("Corp Root CA"), name("Partner CA"), NAMELESS))
    for at, start in enumerate((0, 1, 1, 2))
)
"""Three names, one of them without a CN (which is no name); two of each with the same start."""
FINGERPRINTS = tuple(parse(der).fingerprint for der in CERTIFICATES)
Store = dict[str, list[int]]
"""Unit to the numbers of its certificates."""

acts = st.lists(
    st.tuples(
        st.sampled_from(("upload", "upload", "upload again", "delete")),
        st.sampled_from(UNITS),
        st.integers(0, len(CERTIFICATES) - 1),
    ),
    max_size=25,
)


def predicted(store: Store, what: str, unit: str, number: int) -> str:
    """Change the store as the rule says (B.10); the outcome."""
    if what == "delete":
        if number not in store.get(unit, []):
            return "not_found"
        store[unit].remove(number)
        return ""
    targets = COPIED.get(unit, (unit,))
    gone: list[tuple[str, int]] = []
    for target in targets:
        for other in _rivals(store.get(target, []), number):
            if not _starts_later(number, other):
                return "same_cn_older_start"
            gone.append((target, other))
    for target, other in gone:
        store[target].remove(other)
    for target in targets:
        held = store.setdefault(target, [])
        held += [number] if number not in held else []
    return ""


def _rivals(held: list[int], number: int) -> list[int]:
    called = parse(CERTIFICATES[number]).common_name
    return [each for each in held if each != number and called and parse(CERTIFICATES[each]).common_name == called]


def _starts_later(number: int, other: int) -> bool:
    return parse(CERTIFICATES[number]).not_before > parse(CERTIFICATES[other]).not_before


def asked(pub: Playbook, op_id: str, what: str, unit: str, number: int) -> str:
    wanted = (
        Delete(op_id, unit, FINGERPRINTS[number]) if what == "delete" else Upload(op_id, unit, CERTIFICATES[number])
    )
    (reply,) = [each for each in pub.does(wanted) if isinstance(each, Reply)]
    assert reply.outcome == ("refused" if reply.reason not in ("", "already_present") else "done")
    return "" if reply.outcome == "done" else reply.reason


@settings(max_examples=60, deadline=None, derandomize=True)
@given(acts)
def test_any_order_of_uploads_and_deletes_ends_in_the_store_that_the_rule_predicts(
    given_acts: list[tuple[str, str, int]],
) -> None:
    pub = Playbook(config("pub"), image=DiskImage(boot=0, installed=True)).up()
    store: Store = {}
    for turn, (what, unit, number) in enumerate(given_acts):
        expected = predicted(store, what, unit, number)
        assert asked(pub, f"op-{turn}", what, unit, number) == expected
        if what == "upload again":
            assert asked(pub, f"again-{turn}", what, unit, number) == expected
    for unit in {*UNITS, "CallManager-trust"}:
        held = {FINGERPRINTS[number]: CERTIFICATES[number] for number in store.get(unit, [])}
        rows = {row.fingerprint: row.der for row in pub.core.replica.of_unit(unit).values()}
        files = {parse(file.der).fingerprint: file.der for (at, _), file in pub.disk.files.items() if at == unit}
        assert rows == held  # byte for byte
        assert files == held
        names = [parse(der).common_name for der in held.values() if parse(der).common_name]
        assert len(names) == len(set(names))
