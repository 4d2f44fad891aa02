"""How a round asks for scores: for all of them once, or for what the estimator wants."""

import numpy as np
import pytest

from ml.game.estimation.estimators import payment_errors
from settlement.config.reading import ConfigError, read_config
from settlement.round.game import OtherSample, stored_estimate
from settlement.round.measuring.measured import measure_round
from settlement.round.measuring.tables import value_document


class Counting:
    """Scores a coalition by the share of the parties that it holds, and notes what it is asked."""

    source = "counted"
    seeds = (0, 1)

    def __init__(self, n_parties):
        self.n_parties = n_parties
        self.asked = []

    def measure(self, coalitions, told):
        self.asked += list(coalitions)
        shares = np.array([int(c).bit_count() for c in coalitions]) / self.n_parties
        return np.stack([shares, shares / 2])

    def provenance(self, measured):
        raise AssertionError("nobody asks before the scores are written")


def config_of(tmp_path, n_parties, values=""):
    parties = "".join(f'[[party]]\nname = "p{k}"\nlabels = [{k % 10}]\n' for k in range(n_parties))
    data = '[data]\nsource = "digits"\n' if "given" not in values else ""
    path = tmp_path / "round.toml"
    path.write_text(f'[round]\nname = "a round"\n{data}[values]\n{values}\n{parties}')
    return read_config(path)


def test_an_exact_round_asks_for_each_coalition_but_the_empty_one_once(tmp_path):
    measurer = Counting(3)
    measured = measure_round(config_of(tmp_path, 3), measurer, lambda *told: None)
    assert measurer.asked == list(range(1, 8))
    assert measured.coalitions is None
    assert measured.scores.shape == (2, 8)
    assert measured.scores[:, 0].tolist() == [0, 0]
    assert measured.scores[:, 7].tolist() == [1, 0.5]


@pytest.mark.parametrize("estimator", ["gaussian-process", "stratified"])
def test_an_estimated_round_asks_for_a_sample_and_keeps_its_order(tmp_path, estimator):
    measurer = Counting(8)
    config = config_of(
        tmp_path, 8, f'method = "estimate"\nevaluations = 40\nestimator = "{estimator}"'
    )
    told = []
    measured = measure_round(config, measurer, lambda *step: told.append(step))
    assert len(set(measurer.asked)) == len(measurer.asked) == 40
    assert measured.coalitions == measurer.asked
    sizes = [coalition.bit_count() / 8 for coalition in measured.coalitions]
    assert measured.scores[0].tolist() == sizes
    assert told[-1] == ("train", 40, 40)


class Saturating(Counting):
    """A game whose coalitions teach different amounts; recalls what it was asked before."""

    def __init__(self, n_parties, known=None, breaks_after=None):
        super().__init__(n_parties)
        self.weights = np.linspace(0.1, 0.9, n_parties)
        self.known = {} if known is None else known
        self.breaks_after = breaks_after

    def measure(self, coalitions, told):
        if self.breaks_after is not None and len(self.asked) >= self.breaks_after:
            raise KeyboardInterrupt
        new = [coalition for coalition in coalitions if coalition not in self.known]
        self.asked += new
        for coalition in new:
            held = [w for k, w in enumerate(self.weights) if coalition >> k & 1]
            self.known[coalition] = 1 - float(np.prod([1 - w / 2 for w in held]))
        return np.array([[self.known[coalition] for coalition in coalitions]])


ACTIVE = 'method = "estimate"\nevaluations = 90\nchoose = "payments"\n'


def quiet(*told):
    """Nobody is told."""


def with_budgets(tmp_path, budget, values=ACTIVE):
    """Eight parties of which the first expects to pay so much at most, all others 0.1."""
    config = config_of(tmp_path, 8, values)
    text = (tmp_path / "round.toml").read_text().replace("labels", "budget = 0.1\nlabels")
    (tmp_path / "round.toml").write_text(text.replace("budget = 0.1", f"budget = {budget}", 1))
    assert config.sampling is not None
    return read_config(tmp_path / "round.toml")


def document_of(measured):
    names = [f"p{k}" for k in range(8)]
    return value_document(names, measured.scores, monotone="keep", coalitions=measured.coalitions)


def test_an_interrupted_run_goes_on_with_the_same_picks_and_asks_nothing_twice(tmp_path):
    config = with_budgets(tmp_path, 0.05)
    whole = measure_round(config, Saturating(8), quiet)
    first = Saturating(8, breaks_after=50)
    with pytest.raises(KeyboardInterrupt):
        measure_round(config, first, quiet)
    second = Saturating(8, known=first.known)
    again = measure_round(config, second, quiet)
    assert again.coalitions == whole.coalitions
    assert first.asked + second.asked == whole.coalitions
    assert len(first.asked) >= 50


def test_the_audit_replays_active_picks_and_refuses_those_of_other_budgets(tmp_path):
    config = with_budgets(tmp_path, 0.05)
    measured = measure_round(config, Saturating(8), quiet)
    drawn = measure_round(
        with_budgets(tmp_path, 0.05, ACTIVE.replace("payments", "sizes")), Saturating(8), quiet
    )
    assert measured.coalitions != drawn.coalitions
    document = document_of(measured)
    assert list(stored_estimate(document, config.sampling).coalitions) == measured.coalitions
    budgets = (None, *config.sampling.expected_budgets[1:])
    other = config.sampling.model_copy(update={"expected_budgets": budgets})
    with pytest.raises(OtherSample, match="another sample"):
        stored_estimate(document, other)


def test_a_round_stops_training_once_payments_are_known_to_the_units_asked_for(tmp_path):
    stop = 'method = "estimate"\nevaluations = 255\nchoose = "payments"\nstop = "2,000 units"\n'
    config = with_budgets(tmp_path, 0.05, stop)
    assert config.sampling.largest_payment_error == 0.002
    measured = measure_round(config, Saturating(8), quiet)
    assert len(measured.coalitions) < 200
    estimate = stored_estimate(document_of(measured), config.sampling)
    assert estimate.stopped_by == "payment error"
    errors = payment_errors(estimate, np.array(config.sampling.budgets))
    assert errors.max() <= 0.002
    finer = with_budgets(tmp_path, 0.05, stop.replace("2,000", "20"))
    assert len(measure_round(finer, Saturating(8), quiet).coalitions) > len(measured.coalitions)


def test_keys_of_a_sample_are_refused_where_all_coalitions_are_trained(tmp_path):
    with pytest.raises(ConfigError, match=r"values\.stop.*nothing is sampled"):
        config_of(tmp_path, 3, 'stop = "1000 units"')
    with pytest.raises(ConfigError, match="base units, at least 1"):
        config_of(tmp_path, 3, 'method = "estimate"\nstop = 0.1')
