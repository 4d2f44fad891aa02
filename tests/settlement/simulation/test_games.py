"""Games over pieces: withholding, splitting, merging, replicating are exact games of a table."""

import json

import numpy as np
import pytest

from ml.game import ValueTable, conditional_shapley, family, replicate_party
from settlement.simulation.games.pieces import ExactPieces, FlowPieces, GameError, SampledPieces
from settlement.simulation.games.shards import shard_values
from settlement.simulation.games.sources import game_source
from settlement.simulation.tables.reading import scenario_of
from tests.settlement.simulation.conftest import THREE

PIECES = family("coverage", 4, 3).table().values


def value(*pieces):
    return PIECES[sum(1 << p for p in set(pieces))]


def test_every_coalition_of_accounts_has_the_union_of_their_pieces():
    # Party A splits {0, 1} in two accounts, B withholds 3 and brings 2 alone.
    figures = ExactPieces(PIECES).figures([0b0001, 0b0010, 0b0100])
    expected = [
        0.0,
        value(0),
        value(1),
        value(0, 1),
        value(2),
        value(0, 2),
        value(1, 2),
        value(0, 1, 2),
    ]
    assert figures.table.tolist() == expected
    assert figures.grand_value == value(0, 1, 2)
    np.testing.assert_allclose(figures.flows, conditional_shapley(np.array(expected)), atol=1e-15)


def test_merging_is_the_game_in_which_the_two_are_one():
    figures = ExactPieces(PIECES).figures([0b0011, 0b1100])
    assert figures.table.tolist() == [0.0, value(0, 1), value(2, 3), value(0, 1, 2, 3)]


def test_entering_twice_is_the_replicated_game():
    doubled = ExactPieces(PIECES).figures([1, 2, 4, 8, 1])
    expected = replicate_party(ValueTable(PIECES), 0)
    np.testing.assert_array_equal(doubled.table, expected.values)


def test_an_account_without_pieces_adds_nothing_and_owes_for_everything():
    figures = ExactPieces(PIECES).figures([1, 2, 0])
    assert figures.own_values[2] == 0
    assert figures.flows[:, 2].max() == 0
    assert figures.flows[2].sum() == pytest.approx(figures.grand_value)


def test_a_noisy_table_is_covered_once_from_above():
    noisy = np.array(THREE)
    noisy[7] = 0.75
    assert ExactPieces(noisy).values[7] == 0.8


def test_many_parties_are_sampled_and_near_the_formula():
    game = family("saturating", 20, 1)
    figures = SampledPieces(game.evaluate, 20, 800).figures([1 << k for k in range(20)])
    assert figures.flows.min() >= 0
    np.testing.assert_allclose(figures.flows.sum(axis=1), figures.grand_value - figures.own_values)
    error = np.sqrt(np.mean((figures.flows - game.flows) ** 2) / np.mean(game.flows**2))
    assert error < 0.05


def test_given_flows_know_whole_parties_only():
    game = FlowPieces(np.array([[0, 0.5], [0.4, 0]]), np.array([0.5, 0.6]), 1.0)
    assert game.value(0b10) == 0.6
    assert game.figures([1, 2]).grand_value == 1.0
    with pytest.raises(GameError, match="has to enter once"):
        game.figures([1, 2, 2])
    with pytest.raises(GameError, match="single parties"):
        game.value(0b11)


def source_of(tables, tmp_path):
    scenario = scenario_of(tables, tmp_path / "scenario.toml")
    return game_source(scenario.cell(0), tmp_path)


def test_families_are_drawn_anew_unless_their_seed_is_fixed(tables, tmp_path):
    tables["game"] = {"kind": "family", "family": "coverage"}
    source = source_of(tables, tmp_path)
    rng = np.random.default_rng(1)
    drawn = {source.game(rng).value(0b111) for _ in range(5)} | {
        source.game(rng).value(0b001) for _ in range(5)
    }
    assert len(drawn) > 4
    tables["game"]["fixed_seed"] = 3
    source = source_of(tables, tmp_path)
    assert source.game(rng).value(0b001) == source.game(rng).value(0b001)


def test_files_that_do_not_fit_are_told(tables, tmp_path):
    tables["game"] = {"kind": "table", "path": "game.json"}
    (tmp_path / "game.json").write_text(json.dumps({"values": [0, 0.5, 0.5, 1]}))
    with pytest.raises(GameError, match="2 parties or pieces; the scenario has 3"):
        source_of(tables, tmp_path)
    (tmp_path / "game.json").write_text("{}")
    with pytest.raises(GameError, match="cannot be read"):
        source_of(tables, tmp_path)


def test_flows_of_a_file_and_drawn_ones(tables, tmp_path):
    tables["game"] = {"kind": "flows", "path": "flows.json"}
    flows = [[0, 0.35, 0.45], [0.15, 0, 0.35], [0.25, 0.35, 0]]
    document = {"flows": flows, "own_values": [0.2, 0.5, 0.4], "grand_value": 1.0}
    (tmp_path / "flows.json").write_text(json.dumps(document))
    game = source_of(tables, tmp_path).game(np.random.default_rng(0))
    assert game.figures([1, 2, 4]).flows.tolist() == flows
    tables["game"] = {"kind": "flows"}
    figures = source_of(tables, tmp_path).game(np.random.default_rng(0)).figures([1, 2, 4])
    np.testing.assert_allclose(figures.flows.sum(axis=1), 1 - figures.own_values)


def test_shards_are_trained_once_and_are_the_scores_of_disjoint_pieces(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRROUND_CACHE", str(tmp_path))
    data, training = {"source": "digits"}, {"epochs": 6, "hidden": [16], "learning_rate": 0.01}
    parties = [{"name": "low", "labels": [0, 1]}, {"name": "high", "labels": [1, 2]}]
    values = shard_values(data, training, parties, 2)
    assert values.shape == (16,)
    assert values[0] == 0
    assert 0 < values[1:].min() <= values.max() <= 1
    assert values[15] > values[1]
    (kept,) = (tmp_path / "simulation").glob("shards-*.json")
    written = kept.stat().st_mtime_ns
    monkeypatch.setattr("ml.training.train_coalitions", None)  # would fail if it were asked again
    np.testing.assert_array_equal(shard_values(data, training, parties, 2), values)
    assert kept.stat().st_mtime_ns == written
    with pytest.raises(TypeError):
        shard_values(data, {"epochs": 3, "hidden": [8]}, parties, 2)
