"""What a score is worth before anything is trained."""

import numpy as np
import pytest

from ml.datasets.collaboration import Collaboration
from ml.datasets.loading import load
from ml.datasets.spec import data_spec
from ml.training.checks import scores_without_training
from ml.training.recipe import recipe


def tables(folder, targets):
    for part in ("parties/a", "parties/b", "validation", "holdout"):
        (folder / part).mkdir(parents=True)
        rows = "\n".join(f"{k},{target}" for k, target in enumerate(targets))
        (folder / part / "rows.csv").write_text(f"x,target\n{rows}\n")


def loaded(folder, task) -> Collaboration:
    parties = [{"name": "a"}, {"name": "b"}]
    table = {"source": "folder", "path": str(folder), "task": task}
    return load(data_spec(table, parties))


def test_saying_the_commonest_class_scores_its_share_and_the_labels_one(tmp_path):
    tables(tmp_path, [0, 0, 0, 1])
    found = scores_without_training(loaded(tmp_path, "classification"), recipe({}))
    assert found == (0.75, 1.0)


def test_saying_the_mean_of_figures_scores_nothing_and_the_figures_one(tmp_path):
    tables(tmp_path, [1.0, 2.0, 4.0, 8.0])
    nothing, right = scores_without_training(loaded(tmp_path, "regression"), recipe({}))
    assert nothing == pytest.approx(0.0, abs=1e-6)
    assert right == pytest.approx(1.0)
    assert np.isfinite([nothing, right]).all()
