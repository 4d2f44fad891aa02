"""Networks whose weights are stacked: one model a slice of every tensor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from ml.datasets.collaboration import Collaboration
from ml.training.recipe import Recipe

__all__ = ["Mlp", "Network", "Weights", "network_for", "stack_weights"]

BYTE_SCALE = 1 / 255

#: Named tensors of one model, or of a stack of models with one more leading dimension.
Weights = dict[str, Tensor]


def stack_weights(models: list[Weights]) -> Weights:
    """Weights of several models as one stack, in order."""
    return {name: torch.stack([weights[name] for weights in models]) for name in models[0]}


class Network(ABC):
    """One architecture, for a stack of models at a time.

    Inputs reach a network as the data set holds them, bytes or figures; it scales them itself, so
    that data stay small on the device.
    """

    @abstractmethod
    def initial(self, seed: int) -> Weights:
        """Weights of one model before training; the same for the same seed on every machine."""

    @abstractmethod
    def outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Outputs (models, batch, outputs) of a stack for inputs (models, batch, ...)."""

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of every sample, (models, batch): cross-entropy of the class."""
        return functional.cross_entropy(
            outputs.flatten(0, 1), targets.flatten(), reduction="none"
        ).view(targets.shape)

    def gradients(
        self, weights: Weights, inputs: Tensor, targets: Tensor, shares: Tensor, into: Weights
    ) -> None:
        """Write the gradient of every model's loss, sum of ``shares * losses``, to ``into``.

        ``shares`` (models, batch) is one over the samples of the batch, and 0 on the padding.
        This one asks autograd; a network may know better.
        """
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        loss = (self.losses(self.outputs(leaves, inputs), targets) * shares).sum()
        for name, gradient in zip(
            leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True
        ):
            into[name].copy_(gradient)


def scaled(inputs: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]; figures as they are."""
    if inputs.dtype == torch.uint8:
        return inputs.to(torch.float32).mul_(BYTE_SCALE)
    return inputs.to(torch.float32)


class Mlp(Network):
    """Fully connected layers with relu between them; the last one gives logits.

    Its gradients are written out: autograd would allocate every stacked gradient anew at each step,
    which costs a third of the time on a CPU. A test holds the two together.
    """

    def __init__(self, n_features: int, hidden: tuple[int, ...], n_outputs: int) -> None:
        self.widths = (n_features, *hidden, n_outputs)

    def initial(self, seed: int) -> Weights:
        """Weights and biases uniform in +-1/sqrt(inputs), as torch initialises a linear layer."""
        generator = torch.Generator().manual_seed(seed)
        weights: Weights = {}
        for layer, (n_in, n_out) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            bound = 1 / math.sqrt(n_in)
            for name, shape in (("weight", (n_in, n_out)), ("bias", (1, n_out))):
                uniform = torch.rand(shape, generator=generator)
                weights[f"layer{layer}.{name}"] = uniform.mul_(2 * bound).sub_(bound)
        return weights

    def outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Logits (models, batch, classes)."""
        return self._activations(weights, inputs)[-1]

    def _activations(self, weights: Weights, inputs: Tensor) -> list[Tensor]:
        """What enters each layer, and the logits at the end."""
        steps = [inputs.flatten(2).to(torch.float32)]  # (models, batch, features)
        scale = BYTE_SCALE if inputs.dtype == torch.uint8 else 1.0
        last = len(self.widths) - 2
        for layer in range(last + 1):
            bias, weight = weights[f"layer{layer}.bias"], weights[f"layer{layer}.weight"]
            # Scaling the product costs nothing; scaling the inputs would be a pass over them.
            after = torch.baddbmm(bias, steps[-1], weight, alpha=scale if layer == 0 else 1.0)
            steps.append(after if layer == last else after.relu_())  # (models, batch, width)
        return steps

    @torch.no_grad()
    def gradients(
        self, weights: Weights, inputs: Tensor, targets: Tensor, shares: Tensor, into: Weights
    ) -> None:
        """Backward pass by hand: softmax minus truth, then layer by layer."""
        *entering, logits = self._activations(weights, inputs)
        # Softmax runs several times faster along a dimension that is not the last.
        delta = torch.softmax(logits.transpose(1, 2).contiguous(), dim=1)  # (m, classes, batch)
        truth = targets.unsqueeze(1)
        delta.scatter_add_(1, truth, torch.full_like(truth, -1, dtype=delta.dtype))
        delta = delta.mul_(shares.unsqueeze(1)).transpose(1, 2)  # (models, batch, classes)
        for layer in range(len(entering) - 1, -1, -1):
            torch.sum(delta, dim=1, keepdim=True, out=into[f"layer{layer}.bias"])
            if layer == 0 and inputs.dtype == torch.uint8:
                delta = delta * BYTE_SCALE
            torch.bmm(entering[layer].transpose(1, 2), delta, out=into[f"layer{layer}.weight"])
            if layer:
                delta = torch.bmm(delta, weights[f"layer{layer}.weight"].transpose(1, 2))
                # What relu held back gets nothing: one pass instead of a mask and a product.
                delta = torch.ops.aten.threshold_backward(delta, entering[layer], 0)


def network_for(recipe: Recipe, collaboration: Collaboration) -> Network:
    """The recipe's network for the shape of this data."""
    shape = collaboration.train.features.shape[1:]
    return Mlp(math.prod(shape), recipe.hidden, max(collaboration.n_classes, 1))
