"""The five parties of the paper: the trained table is the published one, within noise."""

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.training import recipe, train_coalitions

#: Published accuracies of the five-party MNIST experiment (Nguyen, Low, Jaillet 2022), grand first.
PUBLISHED = {31: 0.9753, 30: 0.9732, 24: 0.6681, 16: 0.3916, 4: 0.4124, 1: 0.0980}
LABELS = [[0], [1, 2], [0, 1, 2, 3], [3, 4, 5], [6, 7, 8, 9]]


@pytest.mark.slow
def test_the_five_party_table_is_within_0015_of_the_published_one(tmp_path):
    parties = [{"labels": labels} for labels in LABELS]
    mnist = load(data_spec({"source": "mnist", "overlap": "concat"}, parties))
    coalitions = list(PUBLISHED)
    scores = train_coalitions(mnist, recipe({}), coalitions, cache=tmp_path).means
    np.testing.assert_allclose(scores, [PUBLISHED[c] for c in coalitions], atol=0.015)
