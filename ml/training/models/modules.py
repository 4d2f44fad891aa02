"""Any `torch.nn.Module` as a network: the small CNN that ships, or one of the user's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ml.datasets.preparation import Preparation
from ml.engines.own_code import network_class
from ml.errors import MlError
from ml.training.models.networks import Mlp, Network, TextAverage, Weights, scaled
from ml.training.recipe import NETWORKS, Recipe

__all__ = ["ModuleNetwork", "NetworkError", "build_network", "small_cnn"]


class NetworkError(MlError):
    """A network cannot be made, or does not fit the data."""


class ModuleNetwork(Network):
    """A module without state of its own, run for a whole stack by `torch.vmap`.

    What vmap cannot run, such as an LSTM, runs for one model after the other (``one_by_one``).
    ``shaped`` turns inputs as the data hold them into what the module's forward expects. On a CPU a
    stack gains such a module nothing, so one model is trained at a time there, each in a process
    of its own if the engine has several.
    """

    stacks_on_cpu = 1
    one_by_one = False

    def __init__(
        self,
        make: Callable[[], nn.Module],
        shaped: Callable[[Tensor], Tensor],
        *,
        regression: bool = False,
    ) -> None:
        self.make = make
        self.shaped = shaped
        self.regression = regression
        self.module = self._made(0)
        if dict(self.module.named_buffers()):
            raise NetworkError(
                f"{type(self.module).__name__} keeps buffers "
                f"({', '.join(name for name, _ in self.module.named_buffers())}), which a stack of "
                "models cannot share; use GroupNorm or LayerNorm in place of BatchNorm."
            )
        kinds = {tensor.dtype for tensor in self.module.parameters()}
        name = type(self.module).__name__
        if not kinds:
            raise NetworkError(f"{name} has no parameters to train.")
        if kinds != {torch.float32}:
            found = ", ".join(sorted(map(str, kinds)))
            raise NetworkError(f"{name} has parameters of {found}; expected torch.float32.")

    def initial(self, seed: int) -> Weights:
        """The weights that the module makes when torch's own generator starts at the seed."""
        parameters = self._made(seed).named_parameters()
        return {name: tensor.detach().clone() for name, tensor in parameters}

    def _made(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.make()

    def outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Outputs (models, batch, outputs) with dropout off."""
        self.module.eval()
        return self._run(weights, inputs)

    def train_outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Outputs (models, batch, outputs) with dropout on, other samples for each model."""
        self.module.train()
        return self._run(weights, inputs)

    def _run(self, weights: Weights, inputs: Tensor) -> Tensor:
        def one(own: Weights, rows: Tensor) -> Tensor:
            found: Tensor = functional_call(self.module, own, (self.shaped(rows),))
            return found

        if len(inputs) == 1 or self.one_by_one:  # without vmap a single model is faster
            models = [
                {name: tensor[k] for name, tensor in weights.items()} for k in range(len(inputs))
            ]
            return torch.stack([one(own, rows) for own, rows in zip(models, inputs, strict=True)])
        stacked: Tensor = vmap(one, randomness="different")(weights, inputs)
        return stacked


def as_images(inputs: Tensor) -> Tensor:
    """Bytes (batch, height, width[, channels]) as float32 (batch, channels, height, width)."""
    images = scaled(inputs)
    return images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2)


def small_cnn(
    shape: tuple[int, ...],
    channels: tuple[int, ...],
    hidden: tuple[int, ...],
    n_outputs: int,
    *,
    glorot: bool = False,
) -> nn.Sequential:
    """Convolutions of 3 x 3, each followed by relu and halving, then fully connected layers."""
    if len(shape) not in (2, 3):
        raise NetworkError(f"A cnn reads images; the data has samples of shape {shape}.")
    height, width, depth = (*shape, 1)[:3]
    layers: list[nn.Module] = []
    for width_out in channels:
        layers += [nn.Conv2d(depth, width_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        height, width, depth = height // 2, width // 2, width_out
    if not height * width:
        raise NetworkError(
            f"Images of {shape[0]} x {shape[1]} are too small to be halved {len(channels)} times; "
            "give the cnn fewer channels."
        )
    layers.append(nn.Flatten())
    for n_in, n_out in zip((depth * height * width, *hidden), (*hidden, n_outputs), strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    if glorot:
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers[:-1])


def build_network(recipe: Recipe, preparation: Preparation) -> Network:
    """The recipe's network for samples that were prepared so; it is not tried.

    Raises
    ------
    NetworkError
        If the kinds do not go together, or an import path leads to no module.
    """
    shape, regression = preparation.shape, not preparation.classes
    n_outputs = len(preparation.classes) or 1
    words = len(preparation.vocabulary)
    glorot = recipe.initial_weights == "glorot"
    if (recipe.network == "text") != bool(words) and recipe.network in NETWORKS:
        kind = "texts" if words else f"samples of shape {shape}"
        raise NetworkError(f'Network "{recipe.network}" does not fit {kind}; texts need "text".')
    if recipe.network == "mlp":
        return Mlp(math.prod(shape), recipe.hidden, n_outputs, regression=regression, glorot=glorot)
    if recipe.network == "text":
        size, hidden = recipe.embedding, recipe.hidden
        return TextAverage(words + 1, size, hidden, n_outputs, regression=regression, glorot=glorot)
    if recipe.network == "cnn":
        if preparation.dtype != "uint8":
            raise NetworkError(f"A cnn reads images; the data has figures of shape {shape}.")
        return ModuleNetwork(
            lambda: small_cnn(shape, recipe.channels, recipe.hidden, n_outputs, glorot=glorot),
            as_images,
            regression=regression,
        )
    made_by = network_class(recipe.network)
    arguments = json.loads(recipe.arguments)

    def make() -> nn.Module:
        try:
            return made_by(**arguments)
        except Exception as trouble:  # whatever the user's code raises is about the user's code
            raise NetworkError(
                f"{recipe.network} cannot be made with {arguments}: {trouble!r}."
            ) from trouble

    return ModuleNetwork(make, _shaped_for_user(preparation), regression=regression)


def _shaped_for_user(preparation: Preparation) -> Callable[[Tensor], Tensor]:
    """What a user's module reads: images with channels first, word numbers, or columns."""
    if preparation.dtype == "uint8" and len(preparation.shape) in (2, 3):
        return as_images
    if preparation.dtype == "int32":
        return lambda inputs: inputs.to(torch.int64)
    return scaled
