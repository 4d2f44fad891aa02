import json
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from ml.game import ValueTable
from settlement.audit.findings import AuditError
from settlement.audit.game import check_game, check_values
from settlement.config.terms import Sampling
from settlement.round.game import (
    OtherSample,
    cost_units,
    estimate_of,
    game_document,
    grand_value,
    own_values,
    stored_game,
    value_flows,
)
from settlement.round.measuring.tables import value_document
from settlement.store.documents import GameDocument, ValueDocument
from settlement.store.folder import RoundFolder, TamperedFile, dump_json

THREE = [0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]


def values_of(scores, **others):
    names = [f"p{party}" for party in range(int(np.log2(len(scores[0]))))]
    return value_document(names, np.array(scores), monotone="above", source="given", **others)


def game_of(values, estimation=None, caps=None):
    return game_document(values, caps or [None] * len(values.parties), estimation)


def check(folder, estimation=None):
    check_game(folder, [None] * len(GameDocument.read(folder).parties), estimation)


def random_table(n_parties, seed):
    """Monotone scores of n parties, rounded to a millionth."""
    rng = np.random.default_rng(seed)
    weights = rng.random(n_parties)
    masks = np.arange(2**n_parties)[:, None] >> np.arange(n_parties) & 1
    return ((masks @ weights) ** 0.7 / n_parties).round(6).tolist()


def exact_flows(values):
    """Conditional Shapley values by their definition: j's part in orders that i begins, exactly."""
    n_parties = len(values).bit_length() - 1
    flows = [[Fraction(0)] * n_parties for _ in range(n_parties)]
    for i in range(n_parties):
        orders = list(permutations([k for k in range(n_parties) if k != i]))
        for order in orders:
            coalition = 1 << i
            for j in order:
                worth = Fraction(values[coalition | 1 << j]) - Fraction(values[coalition])
                flows[i][j] += worth / len(orders)
                coalition |= 1 << j
    return flows


@pytest.mark.parametrize("n_parties", [2, 3, 5])
def test_posted_flows_of_a_small_table_are_its_flows_in_whole_units(n_parties):
    table = random_table(n_parties, seed=n_parties)
    game = stored_game(game_of(values_of([table])))
    exact = exact_flows([Fraction(round(value * 10**15), 10**15) for value in table])
    for row, expected in zip(game.flows, exact, strict=True):
        scale = Fraction(sum(row), 1) / sum(expected) if sum(expected) else 1
        assert [Fraction(flow) for flow in row] == [flow * scale for flow in expected]


def test_the_three_parties_game_is_the_guides():
    game = stored_game(game_of(values_of([THREE])))
    flows = [[0, 0.35, 0.45], [0.15, 0, 0.35], [0.25, 0.35, 0]]
    assert np.array(value_flows(game)) == pytest.approx(np.array(flows))
    assert own_values(game) == pytest.approx([0.2, 0.5, 0.4])
    assert cost_units(game, 0, 10**6) == 800_000


def test_the_game_depends_on_values_alone_and_its_hash_on_every_number():
    game = game_of(values_of([THREE]))
    assert game == game_of(values_of([THREE]))
    for payer in range(3):
        for payee in range(3):
            flows = [list(row) for row in game.flows]
            flows[payer][payee] += 1
            assert stored_game(replace(game, flows=flows)).hash.hex() != game.game_hash
        own = list(game.own)
        own[payer] += 1
        assert stored_game(replace(game, own=own)).hash.hex() != game.game_hash


@pytest.fixture
def trained(tmp_path):
    """Writes a stage `train` of values and, unless told otherwise, of the game that follows."""
    (tmp_path / "round.toml").write_text("[round]\n")

    def write(values, game=None, estimation=None):
        folder = RoundFolder(tmp_path)
        with folder.write_stage("train", inputs=[]) as path:
            values.write(path)
            (game or game_of(values, estimation)).write(path)
        return folder

    return write


def test_honest_values_and_games_pass(trained):
    folder = trained(values_of([THREE]))
    check_values(folder)
    check(folder)


def with_flow(document, payer, payee, more):
    """One flow raised, and the own value of its payer lowered so that eq. (4) still holds."""
    flows = [list(row) for row in document.flows]
    flows[payer][payee] += more
    changed = replace(document, flows=flows)
    return replace(changed, game_hash=stored_game(changed).hash.hex())


@pytest.mark.parametrize("more", [1, -1, 10**14])
def test_a_flow_of_a_small_table_is_right_to_the_last_unit(trained, more):
    values = values_of([THREE])
    folder = trained(values, with_flow(game_of(values), 0, 1, more))
    with pytest.raises(AuditError, match=r"train/game\.json"):
        check(folder)


def test_a_game_whose_rows_do_not_make_up_the_grand_value_is_named_by_eq_4(trained):
    values = values_of([random_table(9, seed=1)])
    folder = trained(values, with_flow(game_of(values), 3, 1, 5))
    with pytest.raises(AuditError, match=r"party 3 .*eq\. \(4\)"):
        check(folder)


def test_flows_of_nine_parties_may_differ_by_rounding_and_no_more(trained):
    values = values_of([random_table(9, seed=2)])
    honest = game_of(values)

    def moved(units):
        flows = [list(row) for row in honest.flows]
        flows[0][1] += units
        flows[0][2] -= units
        changed = replace(honest, flows=flows)
        return replace(changed, game_hash=stored_game(changed).hash.hex())

    check(trained(values, moved(1_000)))


def test_flows_of_nine_parties_that_favour_somebody_are_named(trained):
    values = values_of([random_table(9, seed=2)])
    honest = game_of(values)
    flows = [list(row) for row in honest.flows]
    flows[0][1] += 2 * 10**9
    flows[0][2] -= 2 * 10**9
    changed = replace(honest, flows=flows)
    changed = replace(changed, game_hash=stored_game(changed).hash.hex())
    with pytest.raises(AuditError, match=r"flows\[0\]\[1\]"):
        check(trained(values, changed))


def test_caps_belong_to_the_game(trained):
    values = values_of([THREE])
    capped = game_of(values, caps=[None, 0.75, None])
    assert capped.game_hash != game_of(values).game_hash
    folder = trained(values, capped)
    check_game(folder, [None, 0.75, None], None)
    with pytest.raises(AuditError, match="wanted"):
        check_game(folder, [None, 0.5, None], None)


def test_a_hash_that_is_not_the_numbers_is_named(trained):
    values = values_of([THREE])
    folder = trained(values, replace(game_of(values), game_hash="00" * 32))
    with pytest.raises(AuditError, match="game_hash"):
        check(folder)


ESTIMATION = Sampling(evaluations=60, estimator="quadratic", seed=4)


def sampled(table, estimation):
    n_parties = len(table).bit_length() - 1
    estimate = estimate_of(estimation, n_parties, ValueTable(table).evaluate)
    coalitions = list(estimate.coalitions)
    names = [f"p{party}" for party in range(n_parties)]
    scores = np.array([[table[coalition] for coalition in coalitions]])
    return value_document(names, scores, monotone="refuse", coalitions=coalitions)


@pytest.mark.parametrize("n_parties", [5, 9])
def test_a_sampled_game_follows_from_its_sample_and_can_be_settled(trained, n_parties):
    estimation = ESTIMATION.model_copy(update={"evaluations": 5 * n_parties})
    values = sampled(random_table(n_parties, seed=3), estimation)
    folder = trained(values, estimation=estimation)
    check(folder, estimation)
    game = stored_game(GameDocument.read(folder))
    game.check(10**6)
    assert grand_value(game) == pytest.approx(values.grand_value)


def test_a_sample_that_the_seed_does_not_draw_is_refused(trained):
    """Whoever tries several seeds and keeps the one that suits is found."""
    values = sampled(random_table(9, seed=3), ESTIMATION)
    folder = trained(values, estimation=ESTIMATION)
    other = ESTIMATION.model_copy(update={"seed": 5})
    with pytest.raises(OtherSample, match="another sample of coalitions"):
        check(folder, other)


def test_values_that_are_not_their_scores_are_named(trained):
    values = values_of([THREE])
    raised = [*values.values[:-1], 1.5]
    with pytest.raises(AuditError, match=r"values\[7\] is 1\.5"):
        check_values(trained(replace(values, values=raised), game_of(values)))


def test_documents_read_back_as_they_were_written(trained):
    values = values_of([THREE])
    folder = trained(values)
    assert ValueDocument.read(folder) == values
    assert GameDocument.read(folder) == game_of(values)
    document = json.loads((folder.path / "train" / "game.json").read_text())
    assert dump_json(document) == (folder.path / "train" / "game.json").read_bytes()


def test_coalitions_are_text_in_the_file_because_they_outgrow_numbers(trained):
    values = values_of([THREE])
    grand = 2**200 - 1
    sample = replace(values, values=[0.5, 1.0], coalitions=[1 << 150, grand], scores=[[0.5, 1.0]])
    folder = trained(sample, game_of(values))
    assert ValueDocument.read(folder) == sample
    written = json.loads((folder.path / "train" / "values.json").read_text())
    assert written["coalitions"] == [hex(1 << 150), hex(grand)]


@pytest.mark.parametrize("wrong", [3, "3", "0X3", "0x03", "-0x3", "0x3 ", "0x", None])
def test_a_coalition_in_another_spelling_is_refused(tmp_path, wrong):
    (tmp_path / "round.toml").write_text("[round]\n")
    folder = RoundFolder(tmp_path)
    plain = replace(values_of([THREE]), coalitions=list(range(8))).as_json()
    plain["coalitions"][3] = wrong
    with folder.write_stage("train", inputs=[]) as path:
        (path / "values.json").write_bytes(dump_json(plain))
    with pytest.raises(TamperedFile, match=r"values\.json: coalitions\.3"):
        ValueDocument.read(folder)
