"""Stacked networks: gradients written by hand are autograd's."""

import math

import pytest
import torch

from ml.training.models.networks import Mlp, Network, stack_weights


@pytest.mark.parametrize("hidden", [(7,), (6, 5), (4, 4, 4)])
def test_mlp_gradients_equal_autograd(hidden):
    network = Mlp(12, hidden, 3)
    weights = stack_weights([network.initial(seed) for seed in range(4)])
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (4, 5, 3, 4), generator=generator, dtype=torch.uint8)
    targets = torch.randint(0, 3, (4, 5), generator=generator)
    shares = torch.full((4, 5), 0.25)
    shares[2, 3:] = 0
    by_hand = {name: torch.empty_like(tensor) for name, tensor in weights.items()}
    by_autograd = {name: torch.empty_like(tensor) for name, tensor in weights.items()}
    network.gradients(weights, inputs, targets, shares, by_hand)
    Network.gradients(network, weights, inputs, targets, shares, by_autograd)
    for name in weights:
        torch.testing.assert_close(by_hand[name], by_autograd[name])
        assert by_hand[name].abs().sum() > 0


def test_initial_weights_depend_on_the_seed_alone():
    network = Mlp(12, (7,), 3)
    first, again, other = network.initial(1), network.initial(1), network.initial(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert float(first["layer0.weight"].abs().max()) <= 12**-0.5


def test_glorot_weights_have_its_bound_and_no_biases():
    network = Mlp(300, (100,), 3, glorot=True)
    weights = network.initial(0)
    for layer, (n_in, n_out) in enumerate([(300, 100), (100, 3)]):
        bound = math.sqrt(6 / (n_in + n_out))
        largest = weights[f"layer{layer}.weight"].abs().max().item()
        assert 0.95 * bound < largest <= bound
        assert not weights[f"layer{layer}.bias"].any()
    assert Mlp(300, (100,), 3).initial(0)["layer0.bias"].any()
