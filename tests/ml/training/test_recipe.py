"""A recipe is checked whole and hashed by what a model depends on."""

import pytest

from ml.errors import SpecError
from ml.training import recipe


def test_the_default_recipe_is_the_papers():
    found = recipe({})
    assert (found.network, found.hidden, found.epochs) == ("mlp", (64, 64), 5)
    assert (found.batch_size, found.learning_rate, found.seeds) == (64, 1e-3, (0,))


def test_all_faults_are_reported_at_once():
    table = {"network": "rnn", "hidden": [0], "epochs": 0, "batch_size": 2.5, "lr": 1}
    table |= {"learning_rate": float("inf"), "seeds": [1, 1], "device": "tpu"}
    with pytest.raises(SpecError) as caught:
        recipe(table)
    assert {fault.place for fault in caught.value.faults} == {
        "training.lr",
        "training.network",
        "training.hidden[0]",
        "training.epochs",
        "training.batch_size",
        "training.learning_rate",
        "training.seeds",
        "training.device",
    }


def test_the_digest_ignores_the_device_and_the_models_digest_the_seeds_too():
    base = recipe({})
    assert recipe({"device": "cpu"}).digest == base.digest
    assert recipe({"seeds": [1]}).digest != base.digest
    assert recipe({"seeds": [1]}).model_digest == base.model_digest
    assert recipe({"stack_size": 8}).model_digest != base.model_digest
    assert recipe({"initial_weights": "glorot"}).model_digest != base.model_digest


def test_a_module_of_ones_own_makes_its_own_initial_weights():
    with pytest.raises(SpecError, match="makes its initial weights"):
        recipe({"network": "user_code:Net", "initial_weights": "glorot"})
