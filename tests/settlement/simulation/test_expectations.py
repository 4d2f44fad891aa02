"""Expectations: figures by hand, errors over replicates, rounds to replay."""

from pathlib import Path

import pytest

from settlement.simulation.results.database import TABLES, Database
from settlement.simulation.results.expectations import (
    ExpectationError,
    check_expectation,
    parse_expectation,
)
from settlement.simulation.tables.scenario import Claim
from settlement.simulation.tables.sweeps import RoundKey

COLUMNS = {
    table: [part.split()[0] for part in text.partition(", PRIMARY")[0].split(", ")]
    for table, text in TABLES.items()
}


def row(table, **values):
    return tuple(values.get(column) for column in COLUMNS[table])


def party(cell, replicate, name, behaviour, utility, *, alone=0.0, gain=None, period=0, **more):
    return row(
        "parties",
        cell=cell,
        replicate=replicate,
        period=period,
        party=name,
        kind=name.rstrip("0123456789"),
        behaviour=behaviour,
        utility=utility,
        utility_alone=alone,
        gain=gain,
        **more,
    )


@pytest.fixture
def database():
    """Two cells of two replicates: x is honest and p0 hides; utilities are easy numbers."""
    made = Database(Path(":memory:"), "ab" * 32, "test")
    for cell in range(2):
        made.name_cell(cell, {"party[0].private_rate": [1.0, 0.5][cell]})
        for replicate in range(2):
            base = 10.0 * cell + replicate
            rows = {
                "rounds": [
                    row(
                        "rounds",
                        cell=cell,
                        replicate=replicate,
                        period=0,
                        settled=1 - cell,
                        operator="honest_operator",
                    )
                ],
                "parties": [
                    party(cell, replicate, "x", "honest", base),
                    party(cell, replicate, "p0", "hides_budget", base + 2, gain=base - 5, moved=1),
                ],
            }
            made.write([(cell, replicate, rows)])
    yield made
    made.connection.close()


NAMES = {"x", "p", "p0", "honest", "hides_budget"}
PLACES = ["party[0].private_rate"]


def verdict(database, that, **claim):
    expectation = parse_expectation(Claim(that=that, **claim), PLACES, NAMES)
    return check_expectation(expectation, database.connection)


@pytest.mark.parametrize(
    ("that", "left"),
    [
        ("utility(x) >= 0", (0 + 1 + 10 + 11) / 4),
        ("utility(p) >= 0", (2 + 3 + 12 + 13) / 4),
        ("utility('p0') >= 0", (2 + 3 + 12 + 13) / 4),
        ("utility() >= 0", (0 + 1 + 10 + 11 + 2 + 3 + 12 + 13) / 8),
        ("utility(honest, private_rate=0.5) >= 0", 10.5),
        ("max(gain(hides_budget)) <= 100", 6.0),
        ("min(gain(hides_budget)) <= 100", -5.0),
        ("share(gain(hides_budget) > -4.5) <= 1", 0.75),
        ("share(utility(x) < -1) <= 1", 0.0),
        ("-utility(x) + 2 * utility(p) <= 100", -5.5 + 2 * 7.5),
        ("utility(p) / utility(x) > 1", 7.5 / 5.5),
        ("settled() == 0.5", 0.5),
        ("settled(private_rate=1.0) == 1", 1.0),
        ("surplus(x, cell=1) >= 0", 10.5),
        ("moved(hides_budget) == 1", 1.0),
        ("utility(behaviour='honest', period='last') >= 0", 5.5),
    ],
)
def test_figures_are_what_they_say(database, that, left):
    found = verdict(database, that)
    assert found.left.value == pytest.approx(left)
    assert found.holds


@pytest.mark.parametrize(
    ("that", "holds"),
    [
        ("utility(honest) >= utility(hides_budget)", False),
        ("utility(honest) <= utility(hides_budget)", True),
        ("utility(honest) < utility(honest)", False),
        ("utility(honest) == utility(honest)", True),
        ("utility(honest) > 5.4", True),
        ("utility(honest) > 5.6", False),
    ],
)
def test_a_comparison_holds_or_not_and_turned_round_the_other_way(database, that, holds):
    assert verdict(database, that).holds is holds


def test_where_selects_for_both_sides(database):
    that = "utility(honest) >= utility(hides_budget) - 2"
    found = verdict(database, that, where={"private_rate": 0.5})
    assert (found.left.value, found.right.value) == (10.5, 10.5)
    assert found.holds


def test_the_standard_error_is_over_replicates_not_rows(database):
    # Of cell 0: replicates with means 1 and 2 (two rows each).
    found = verdict(database, "utility(cell=0) >= 0").left
    assert found.value == 1.5
    assert found.n_rows == 4
    assert found.standard_error == pytest.approx(0.5)


def test_a_broken_comparison_names_the_round_that_is_furthest_off(database):
    assert verdict(database, "max(gain(p0)) <= 0").broken == (RoundKey(1, 1, 0),)
    assert verdict(database, "min(gain(p0)) >= 0").broken == (RoundKey(0, 0, 0),)
    assert verdict(database, "0 >= max(gain(p0))").broken == (RoundKey(1, 1, 0),)
    assert verdict(database, "max(gain(p0)) <= 100").broken == ()


def test_nothing_selected_is_no_proof(database):
    found = verdict(database, "utility(honest, private_rate=3.0) >= 0")
    assert not found.holds
    assert "no row is selected" in found.sentence


def test_a_claim_says_its_figures_in_its_own_words(database):
    found = verdict(database, "utility(x) >= 1000", says="found {left}, wanted {right}")
    assert found.sentence == "found 5.5 ± 2.9, wanted 1000"


def test_individual_rationality_names_rounds_in_which_an_honest_party_is_worse_off(database):
    assert verdict(database, "individual_rationality").holds
    database.write([(0, 5, {"parties": [party(0, 5, "x", "honest", 1.0, alone=2.0)]})])
    assert verdict(database, "individual_rationality").holds  # within rounding
    bad = {
        "rounds": [row("rounds", cell=0, replicate=6, period=3)],
        "parties": [
            party(0, 6, "x", "honest", 1.0, alone=9.0, period=3),
            party(0, 6, "p0", "hides_budget", 0.0, alone=9.0, period=3),
        ],
    }
    database.write([(0, 6, bad)])
    found = verdict(database, "individual_rationality")
    assert not found.holds
    assert found.broken == (RoundKey(0, 6, 3),)


def test_a_property_of_every_round_reads_the_violations(database):
    assert verdict(database, "conservation").holds
    broken = [row("violations", cell=1, replicate=0, period=0, sequence=0, property="conservation")]
    database.write([(1, 0, {"violations": broken})])
    found = verdict(database, "conservation")
    assert (found.holds, found.broken) == (False, (RoundKey(1, 0, 0),))
    assert "3 of 4 rounds" in found.sentence
    assert verdict(database, "no_overdraft").holds
    assert verdict(database, "conservation", where={"private_rate": 1.0}).holds


@pytest.mark.parametrize(
    ("that", "expected"),
    [
        ("utility(x", "cannot be read"),
        ("utility(x)", "no comparison of two sides"),
        ("0 <= utility(x) <= 1", "no comparison of two sides"),
        ("utility(x) in 3", "no comparison of two sides"),
        ("utility(y) >= 0", "'y' is no party and no behaviour of this scenario; expected one of"),
        ("happiness(x) >= 0", "unknown metric 'happiness'; expected one of utility"),
        ("utility(x, p) >= 0", "names several"),
        ("utility(x, color=3) >= 0", "unknown filter 'color'"),
        ("utility(x, period=[1]) >= 0", "no plain value"),
        ("max(3) >= 0", "max takes one metric"),
        ("share(utility(x)) >= 0", "share takes one comparison"),
        ("share(utility(x) > utility(p)) >= 0", "share takes one comparison"),
        ("__import__('os').system('true') >= 0", "is no figure"),
        ("x.y >= 0", "is no figure"),
        ("'a' >= 0", "is no figure"),
        ("utility(x) ** 2 >= 0", "is no figure"),
        ("conservatism", "unknown property 'conservatism'"),
    ],
)
def test_what_cannot_be_read_is_told(that, expected):
    with pytest.raises(ExpectationError) as caught:
        parse_expectation(Claim(that=that), PLACES, NAMES)
    assert expected in str(caught.value)


def test_names_that_look_like_sql_select_nothing(database):
    wicked = "x' OR 1 = 1 --"
    names = {*NAMES, wicked}
    claim = Claim(that=f"utility({wicked!r}) >= 0")
    found = check_expectation(parse_expectation(claim, PLACES, names), database.connection)
    assert found.left.n_rows == 0
