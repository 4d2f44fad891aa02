"""Scenarios: strict, all faults at once, sweeps and seeds."""

import pytest

from settlement.config.reading import ConfigError
from settlement.config.templates import scenario_names, write_template
from settlement.simulation.simulating import MANY_ROUNDS, TooManyRounds, simulate
from settlement.simulation.tables.reading import read_scenario, scenario_of
from settlement.simulation.tables.sweeps import RoundKey, round_rng

BAD = """
[scenario]
name = "bad"
replicates = 0
sed = 1

[game]
kind = "family"
family = ["saturating", "saturatin"]

[round]
settlement = "optimistic"

[[party]]
name = "a"
behaviour = "honets"
budget = -1

[[party]]
name = "b"
behaviour = { name = "hides_budget", shows = 2.0 }
budget = { uniform = [0.4, 0.1] }
labels = [1]

[chain]
lost_replies = 1.5

[[expect]]
that = "utilty(a) >= 0"

[[expect]]
that = "utility(nobody) >= 0"

[[expect]]
that = "always_nice"

[[expect]]
that = "conservation"
where = { color = 3 }
"""


def faults_of(text, path):
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_scenario(path)
    return str(caught.value)


def test_a_bad_scenario_reports_all_faults_at_once_each_with_its_place(tmp_path):
    found = faults_of(BAD, tmp_path / "scenario.toml")
    for expected in (
        "scenario.toml:4: scenario.replicates: Input should be greater than or equal to 1; found 0",
        "scenario.toml:5: scenario.sed: unknown key",
        "scenario.toml:9: game.family[1]: unknown family 'saturatin'; expected one of additive",
        "scenario.toml:12: round.settlement:",
        "scenario.toml:16: party[0].behaviour: unknown behaviour 'honets'; expected one of",
        "scenario.toml:17: party[0].budget: expected a number of at least 0, found -1",
        "scenario.toml:21: party[1].behaviour: hides_budget: shows:",
        "scenario.toml:22: party[1].budget.uniform: expected the lower number first",
        "scenario.toml:23: party[1].labels: unknown key",
        "scenario.toml:26: chain.lost_replies:",
        "scenario.toml:29: expect[0].that: unknown metric 'utilty'; expected one of utility",
        "scenario.toml:32: expect[1].that: 'nobody' is no party and no behaviour",
        "scenario.toml:35: expect[2].that: unknown property 'always_nice'; expected one of",
        "scenario.toml:39: expect[3].where: unknown filter 'color'; expected one of party",
    ):
        assert expected in found, expected
    assert len(found.splitlines()) == 14


def test_an_unknown_behaviour_lists_those_of_its_role(tables, tmp_path):
    tables["operator"] = {"behaviour": "honest"}
    with pytest.raises(ConfigError) as caught:
        scenario_of(tables, tmp_path / "scenario.toml")
    known = "honest_operator, lying_operator, vanishing_operator"
    assert f"unknown behaviour 'honest'; expected one of {known}" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"game": {"kind": "table", "values": [0, 0.5]}}, "2 values; expected 2**3"),
        ({"game": {"kind": "table", "values": [0.1] + [1.0] * 7}}, "empty coalition has value 0.1"),
        ({"game": {"kind": "table", "values": [0.0] + [1.5] * 7}}, "found 1.5; expected a score"),
        ({"game": {"kind": "table"}}, "expected either values or a path"),
        ({"game": {"kind": "table", "path": "none.json"}}, "none.json cannot be read"),
        ({"game": {"kind": "shards", "pieces": 8}}, "at most 16 pieces in all"),
        ({"game": {"kind": "dice"}}, "game: "),
        ({"party": [{"name": "a"}]}, "1 party; expected at least 2"),
        ({"party": [{"name": "a"}, {"name": "a"}]}, "'a' is the name of 2 parties"),
        ({"party": [{"name": "a", "joins": 1}, {"name": "b"}]}, "joins in round 1 of 1"),
        ({"party": [{"name": "a", "budget": []}, {"name": "b"}]}, "found an empty list"),
        (
            {"party": [{"name": "a", "budget": {"from": 0, "to": 0.5}}, {"name": "b"}]},
            'expected "steps"',
        ),
        ({"party": [{"name": "p", "count": 65}], "game": {"kind": "flows"}}, "by proof at most 64"),
        ({"engine": {"kind": "abacus"}}, "engine.kind"),
    ],
)
def test_faults_of_a_whole_scenario_say_what_to_do(tables, tmp_path, change, expected):
    with pytest.raises(ConfigError) as caught:
        scenario_of({**tables, **change}, tmp_path / "scenario.toml")
    assert expected in str(caught.value)


def test_lists_and_ranges_make_the_product_and_the_last_axis_changes_fastest(tables, tmp_path):
    tables["scenario"]["replicates"] = [2, 3]
    tables["party"][0]["budget"] = {"from": 0.0, "to": 0.2, "steps": 3}
    scenario = scenario_of(tables, tmp_path / "scenario.toml")
    assert scenario.n_cells == 6
    assert scenario.n_rounds == 3 * 2 + 3 * 3
    budgets = [scenario.cell(k).party[0].budget for k in range(6)]
    assert budgets == [0.0, 0.1, 0.2] * 2
    assert scenario.parameters(4) == {"scenario.replicates": 3, "party[0].budget": 0.1}


def test_whole_ranges_count_and_lists_of_data_are_no_sweeps(tables, tmp_path):
    tables["party"] = [
        {"name": "p", "count": {"from": 2, "to": 4}},
        {"name": "q", "behaviour": {"name": "hides_budget", "shows": [0.1, 0.9]}},
    ]
    tables["game"] = {"kind": "family"}
    scenario = scenario_of(tables, tmp_path / "scenario.toml")
    assert [len(scenario.cell(k).seats()) for k in range(0, 6, 2)] == [3, 4, 5]
    tables["game"] = {"kind": "shards", "pieces": 1}
    tables["party"] = [{"name": "a", "labels": [0, 1]}, {"name": "b", "labels": [2, 3]}]
    assert scenario_of(tables, tmp_path / "scenario.toml").n_cells == 1


def test_a_fault_of_one_value_of_a_sweep_names_it(tables, tmp_path):
    tables["party"][0]["behaviour"] = ["honest", "hones", "never_funds"]
    tables["party"][1]["budget"] = [0.1, 0.2, -0.3]
    with pytest.raises(ConfigError) as caught:
        scenario_of(tables, tmp_path / "scenario.toml")
    assert "party[0].behaviour[1]: unknown behaviour 'hones'" in str(caught.value)
    assert "party[1].budget[2]: expected a number of at least 0" in str(caught.value)
    assert len(caught.value.faults) == 2


def test_seeds_are_a_pure_function_of_hash_cell_replicate_and_round():
    keys = [RoundKey(c, r, p) for c in range(3) for r in range(20) for p in (-1, 0, 1)]
    draws = {round_rng("ab" * 32, key, purpose).random() for key in keys for purpose in range(3)}
    assert len(draws) == 3 * len(keys)
    again = round_rng("ab" * 32, keys[7], 2).random()
    assert again == round_rng("ab" * 32, keys[7], 2).random()
    assert again != round_rng("ac" * 32, keys[7], 2).random()


def test_more_replicates_and_other_expectations_leave_the_seeds_alone(tables, tmp_path):
    path = tmp_path / "scenario.toml"
    first = scenario_of(tables, path).hash
    tables["scenario"]["replicates"] = 50
    tables["scenario"]["name"] = "another name"
    tables["expect"] = [{"that": "conservation"}]
    tables["engine"] = {"kind": "local"}
    assert scenario_of(tables, path).hash == first
    tables["party"][0]["budget"] = 0.3
    assert scenario_of(tables, path).hash != first


def test_what_is_in_a_file_belongs_to_the_scenario(tables, tmp_path):
    file = tmp_path / "game.json"
    tables["game"] = {"kind": "table", "path": "game.json"}
    hashes = set()
    for last in ("1.0", "0.9"):
        file.write_text(f'{{"values": [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, {last}]}}')
        hashes.add(scenario_of(tables, tmp_path / "scenario.toml").hash)
    assert len(hashes) == 2


def test_more_than_a_million_rounds_are_not_begun_unasked(tables, tmp_path):
    tables["scenario"]["replicates"] = MANY_ROUNDS + 1
    with pytest.raises(TooManyRounds, match=r"1,000,001 rounds .* --yes"):
        simulate(tables, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "1.2.3.4", "a", "1.-2", "1,2"])
def test_keys_of_rounds_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="names no round"):
        RoundKey.parse(text)
    assert RoundKey.parse("3.17") == RoundKey(3, 17, 0)


@pytest.mark.parametrize("name", [n for n in scenario_names() if n.startswith("scenario")])
def test_every_shipped_scenario_is_written_and_read(name, tmp_path):
    path = write_template(tmp_path, name)
    assert path.name == "scenario.toml"
    scenario = read_scenario(path)
    assert scenario.first.expect
    assert all(claim.that for claim in scenario.first.expect)


@pytest.mark.parametrize("number", ["inf", "nan", "{ uniform = [0.0, inf] }"])
def test_a_number_that_is_not_finite_is_refused_by_its_place(number, tmp_path):
    text = f"""
[scenario]
name = "endless"

[[party]]
name = "a"
budget = {number}

[[party]]
name = "b"

[game]
kind = "family"
family = "saturating"
"""
    assert "party[0].budget" in faults_of(text, tmp_path / "scenario.toml")
