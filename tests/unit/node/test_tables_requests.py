"""What a certificate signing request asks for, in every release and profile, cell by cell."""

from typing import get_args

import pytest

from tests.unit.node.csr_tables import PROSE, marks
from tests.unit.node.rule_tables import books, differences, in_release, read
from ucmlab.node.rulebook import Role, RuleBook

PROSE_OTHERWISE = """
    # unit        from 14                               before
    CAPF          client                                -                    # X-01: in the table alone
    tomcat        ipsec key_encipherment key_agreement  ipsec key_agreement  # X-02: in the prose alone, as all below
    tomcat-ECDSA  ipsec key_encipherment key_agreement  ipsec key_agreement
    ipsec         key_agreement                         key_agreement        # X-03
    CallManager   key_encipherment key_agreement        key_agreement        # X-03
    cup           key_agreement                         key_agreement        # X-03, as the seed reads T-2
    cup-xmpp      key_agreement                         key_agreement
"""


def cells(release: str, unit: str, printed: str) -> dict[str, object]:
    tvs = unit == "TVS" and in_release(release, "14..")  # whatever the cell says
    return {"cells": " ".join(printed), "offers_multi_server": printed[0] == "Y" or tvs}


@pytest.mark.rule("R-040", "R-041", "R-042", "R-043", "R-044", "R-045", "R-046", "R-047", "R-048", "R-049", "R-050")
@pytest.mark.rule("X-01", "X-02", "X-03", "X-13")
def test_every_cell_of_every_release_is_the_guides() -> None:
    for release, profile, book in books():
        tables = [(role, marks(release, profile, role)) for role in get_args(Role)]
        expected = {(role, unit): cells(release, unit, row) for role, rows in tables for unit, row in rows.items()}
        assert differences(book.csrs, expected) == []


@pytest.mark.rule("R-033", "R-034", "R-035", "R-036", "R-037", "X-01", "X-02", "X-03")
def test_where_a_prose_list_says_otherwise_the_table_counts() -> None:
    new, old = RuleBook.load("14SU2"), RuleBook.load("12.5")
    for row in read(PROSE_OTHERWISE, "unit new old"):
        role: Role = "imp" if row["unit"].startswith("cup") else "pub"
        for book, otherwise in ((new, row["new"]), (old, row["old"])):
            request = book.csrs[role, row["unit"]]
            asked = {*request.extended_key_usage, *request.key_usage}
            assert asked ^ set(PROSE[row["unit"]].split()) == set(otherwise.split())
