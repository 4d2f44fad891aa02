"""A model reward is what a plain loop makes of the party's own model on the grand data."""

import re

import numpy as np
import torch

from ml.training import train_coalitions, train_rewards
from ml.training.cache import ModelCache
from ml.training.checks import network_for
from ml.training.coalitions import model_keys
from ml.training.models.model_files import read_model
from ml.training.reference import linear_layers, train_one
from ml.training.stack.orders import Trainee


def after(collaboration, plan, start, party, n_steps):
    """Weights of the party's own model after so many plain steps on everybody's samples."""
    rows = collaboration.coalition_indices(collaboration.grand_coalition)
    model = train_one(
        linear_layers(network_for(plan, collaboration), start),
        Trainee(rows, n_steps, f"reward/{party}"),
        torch.from_numpy(collaboration.train.features),
        torch.from_numpy(collaboration.train.targets),
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
    )
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    weights = {f"layer{k}.weight": layer.weight.detach().T for k, layer in enumerate(layers)}
    return weights | {f"layer{k}.bias": layer.bias.detach()[None] for k, layer in enumerate(layers)}


def flat(weights, names):
    return np.concatenate([np.asarray(weights[name]).ravel() for name in names])


def test_a_reward_lies_between_two_steps_of_the_partys_own_model_on_the_grand_data(
    digits, quick, tmp_path
):
    """Training on another party's data, or a straight line to the grand model, lies elsewhere."""
    cache, out = tmp_path / "cache", tmp_path / "out"
    own = train_coalitions(digits, quick, [1, 2, 4, 7], cache=cache).means
    targets = (own[:3] + own[3]) / 2
    rewards = train_rewards(digits, quick, targets, out, cache=cache)
    for reward in rewards:
        steps = re.fullmatch(r"its own model, trained for (\d+) steps on .*", reward.made)
        assert steps, reward.made
        start = ModelCache(cache).get(model_keys(digits, quick, 1 << reward.party)[0]).weights
        names = sorted(start)
        made = flat(read_model(out / reward.file)[0], names)
        before, behind = (
            flat(after(digits, quick, start, reward.party, int(steps[1]) - back), names)
            for back in (1, 0)
        )
        step = behind - before
        along = float((made - before) @ step / (step @ step))
        off = np.abs(made - before - along * step).max()
        assert -1e-3 <= along <= 1 + 1e-3
        assert off < 1e-2 * np.abs(step).max()
