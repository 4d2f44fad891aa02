"""How a round asks for scores: for all of them once, or for what the estimator wants."""

import numpy as np
import pytest

from settlement.config.reading import read_config
from settlement.round.measuring.measured import measure_round


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

    def provenance(self):
        return None, None


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
