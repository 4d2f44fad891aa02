"""Value tables: what is refused, what is kept, how far a table is from monotone."""

import numpy as np
import pytest

from ml.errors import NotMonotoneError, ValueTableError
from ml.game import ValueTable, describe_coalition, members
from ml.game.tables.coalitions import party_count


def test_a_table_knows_its_parties_and_values(three_parties):
    assert three_parties.n_parties == 3
    assert three_parties.grand_value == 1.0
    assert three_parties.value(0b011) == 0.6
    assert three_parties.own_values.tolist() == [0.2, 0.5, 0.4]


def test_a_table_is_frozen_and_does_not_follow_its_source():
    source = np.array([0.0, 0.1, 0.2, 0.3])
    table = ValueTable(source)
    source[1] = 9.0
    assert table.value(1) == 0.1
    with pytest.raises(ValueError, match="read-only"):
        table.values[1] = 0.5
    with pytest.raises(AttributeError):
        table.n_parties = 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 0.1, 0.2], "3 entries; expected 2"),
        ([0, 0.1], "1 party"),
        ([0.5, 0.1, 0.2, 0.3], "Empty coalition has value 0.5"),
        ([0, 0.1, np.nan, 0.3], r"coalition 2 \{1\} is nan"),
        ([0, 0.1, 0.2, np.inf], r"coalition 3 \{0, 1\} is inf"),
        ([0, -0.1, 0.2, 0.3], r"coalition 1 \{0\} is -0.1"),
        ([[0, 0.1], [0.2, 0.3]], r"shape \(2, 2\)"),
        (["a", "b", "c", "d"], "expected real numbers"),
        ([0, 0, 0, 5e-324], "Largest value is 5e-324"),
    ],
)
def test_bad_tables_are_refused_with_numbers(values, message):
    with pytest.raises(ValueTableError, match=message):
        ValueTable(values)


def test_a_memory_mapped_table_is_kept_where_it_is(tmp_path):
    values = np.linspace(0, 1, 2**12)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    table = ValueTable(mapped)
    assert np.shares_memory(table.values, mapped)
    assert table.grand_value == 1.0


def test_monotonicity_lists_broken_edges_largest_first():
    report = ValueTable([0, 0.5, 0.4, 0.4375, 0.3, 0.6, 0.375, 0.7]).monotonicity()
    assert (report.n_edges, report.n_broken) == (12, 2)
    assert report.largest == pytest.approx(0.0625)
    assert [(edge.coalition, edge.party) for edge in report.broken] == [(0b001, 1), (0b010, 2)]
    assert not report.is_monotone
    assert "2 of 12 edges broken" in report.summary()


def test_monotonicity_counts_the_published_table(published_table):
    report = published_table.monotonicity()
    assert (report.n_edges, report.n_broken) == (80, 5)
    assert report.largest == pytest.approx(0.0012, abs=1e-6)


def test_a_monotone_table_breaks_no_edge(three_parties):
    report = three_parties.monotonicity()
    assert report.is_monotone
    assert report.largest == 0.0
    three_parties.require_monotone()


def test_require_monotone_refuses_with_numbers(published_table):
    with pytest.raises(NotMonotoneError, match="5 of 80 edges broken"):
        published_table.require_monotone()


def test_monotonicity_agrees_with_the_definition(rng):
    values = rng.random(2**5)
    values[0] = 0
    expected = {
        (coalition, party)
        for coalition in range(32)
        for party in range(5)
        if not coalition >> party & 1 and values[coalition | 1 << party] < values[coalition]
    }
    report = ValueTable(values).monotonicity()
    assert {(edge.coalition, edge.party) for edge in report.broken} == expected


def test_coalitions_read_as_sets_of_parties():
    assert members(0b10110) == (1, 2, 4)
    assert describe_coalition(0b10110, list("abcde")) == "{b, c, e}"


def test_a_table_tells_how_many_parties_it_is_for():
    assert [party_count(2**n) for n in (2, 3, 26)] == [2, 3, 26]
    for length, message in (
        (0, "0 entries; expected 2"),
        (1, "1 entries, 0 party"),
        (2, "2 entries, 1 party"),
        (6, "6 entries; expected 2"),
        (2**27, "27 parties; expected at most 26"),
    ):
        with pytest.raises(ValueTableError, match=message):
            party_count(length)
