"""The stacked trainer and the plain loop are the same trainer."""

import numpy as np
import pytest
import torch

from ml.training.checks import network_for
from ml.training.models.networks import Mlp, stack_weights
from ml.training.models.used_columns import UsedColumns
from ml.training.reference import linear_layers, train_one
from ml.training.scores import Evaluator, accuracy
from ml.training.stack.orders import Trainee
from ml.training.stack.trainer import train_stack


@pytest.mark.parametrize("initial_weights", ["torch", "glorot"])
def test_stacked_and_sequential_training_agree_after_full_training(digits, quick, initial_weights):
    quick = quick.model_copy(update={"initial_weights": initial_weights})
    network = network_for(quick, digits)
    features = torch.from_numpy(digits.train.features)
    targets = torch.from_numpy(digits.train.targets)
    coalitions = sorted(range(1, 8), key=lambda c: -len(digits.coalition_indices(c)))
    trainees = [
        Trainee.for_epochs(digits.coalition_indices(c), quick.epochs, quick.batch_size, f"0/{c}")
        for c in coalitions
    ]
    used = UsedColumns.of(network, features)
    assert used.columns is not None
    initial = network.initial(0)
    options = {"batch_size": quick.batch_size, "learning_rate": quick.learning_rate}
    start = used.reduced(stack_weights([initial] * len(trainees)))
    advances = list(train_stack(used.network, start, trainees, used.features, targets, **options))
    assert sum(a.n_steps for a in advances) == sum(t.n_steps for t in trainees)
    finished = [pair for advance in advances for pair in advance.finished]
    assert sorted(index for index, _ in finished) == list(range(7))
    evaluator = Evaluator.on(network, accuracy, digits.validation, torch.device("cpu"))
    for index, narrow in finished:
        weights = used.restored(narrow, initial)
        model = train_one(
            linear_layers(network, initial), trainees[index], features, targets, **options
        )
        alone = {
            name: tensor.detach().T if name.endswith("weight") else tensor.detach()[None]
            for name, tensor in zip(weights, model.parameters(), strict=True)
        }
        for name in weights:
            torch.testing.assert_close(weights[name], alone[name], atol=1e-4, rtol=0)
        assert evaluator.score(weights) == evaluator.score(alone)


def test_columns_that_are_never_used_keep_their_initial_weights():
    features = torch.zeros(6, 2, 2, dtype=torch.uint8)
    features[:, 0, 1] = 9
    network = Mlp(4, (3,), 2)
    used = UsedColumns.of(network, features)
    assert used.columns.tolist() == [1]
    initial = network.initial(0)
    small = used.reduced(stack_weights([initial, initial]))
    assert small["layer0.weight"].shape == (2, 1, 3)
    grown = used.restored({n: t[0] + 1 for n, t in small.items()}, initial)
    moved = (grown["layer0.weight"] != initial["layer0.weight"]).all(dim=1)
    assert moved.tolist() == [False, True, False, False]


def test_trainees_must_come_longest_first(digits, quick):
    network = network_for(quick, digits)
    trainees = [Trainee(np.arange(5), steps, "k") for steps in (1, 2)]
    start = stack_weights([network.initial(0)] * 2)
    features, targets = torch.from_numpy(digits.train.features), torch.zeros(5000).long()
    with pytest.raises(ValueError, match="longest first"):
        list(
            train_stack(network, start, trainees, features, targets, batch_size=2, learning_rate=1)
        )
