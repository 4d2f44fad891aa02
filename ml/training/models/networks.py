"""Networks whose weights are stacked: one model a slice of every tensor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["BYTE_SCALE", "Mlp", "Network", "TextAverage", "Weights", "scaled", "stack_weights"]

BYTE_SCALE = 1 / 255

STACK_ON_CUDA = 1024
"""Most models that a CUDA device trains at a time."""

Weights = dict[str, Tensor]
"""Named tensors of one model, or of a stack of models with one more leading dimension."""


def stack_weights(models: list[Weights]) -> Weights:
    """Weights of several models as one stack, in order."""
    return {name: torch.stack([weights[name] for weights in models]) for name in models[0]}


def scaled(inputs: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]; figures as they are."""
    if inputs.dtype == torch.uint8:
        return inputs.to(torch.float32).mul_(BYTE_SCALE)
    return inputs.to(torch.float32)


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """A tensor of uniform numbers in [-bound, bound]."""
    return torch.rand(shape, generator=generator).mul_(2 * bound).sub_(bound)


class Network(ABC):
    """One architecture, for a stack of models at a time.

    A network gets inputs as the data set holds them, bytes or numbers, and scales them itself, so
    that data stay small on the device. ``regression`` networks have one output and the squared
    error as their loss; the others one output a class, and cross-entropy. ``stacks_on_cpu`` says
    how many models a CPU trains best at a time.
    """

    regression: bool = False
    stacks_on_cpu: int = 32

    def best_stack_size(self, device_type: str) -> int:
        """How many models to train at a time."""
        return self.stacks_on_cpu if device_type == "cpu" else STACK_ON_CUDA

    @abstractmethod
    def initial(self, seed: int) -> Weights:
        """Weights of one model before training; the same for the same seed on every machine."""

    @abstractmethod
    def outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Outputs (models, batch, outputs) of a stack for inputs (models, batch, ...)."""

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of every sample, (models, batch)."""
        if self.regression:
            return (outputs.squeeze(2) - targets).square()
        flat = functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        return flat.view(targets.shape)

    def gradients(
        self, weights: Weights, inputs: Tensor, targets: Tensor, shares: Tensor, into: Weights
    ) -> None:
        """Write the gradient of every model's loss, sum of ``shares * losses``, to ``into``.

        ``shares`` (models, batch) is one over the samples of the batch, and 0 on the padding.
        The default uses autograd; a network may override it with something faster.
        """
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        loss = (self.losses(self.train_outputs(leaves, inputs), targets) * shares).sum()
        gradients = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
        for name, gradient in zip(leaves, gradients, strict=True):
            into[name].copy_(gradient)

    def train_outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Outputs while training; they differ from `outputs` only if a module has dropout."""
        return self.outputs(weights, inputs)


class Mlp(Network):
    """Fully connected layers with relu between them; the last one gives the outputs.

    Its gradients are written out by hand: autograd would allocate every stacked gradient anew at
    each step, which costs a third of the time on a CPU. A test compares the two.
    """

    def __init__(
        self,
        n_features: int,
        hidden: tuple[int, ...],
        n_outputs: int,
        *,
        regression: bool = False,
        glorot: bool = False,
    ) -> None:
        self.widths = (n_features, *hidden, n_outputs)
        self.regression = regression
        self.glorot = glorot

    def initial(self, seed: int) -> Weights:
        """Uniform weights: Glorot's without biases, or within +-1/sqrt(inputs) as torch's."""
        generator = torch.Generator().manual_seed(seed)
        weights: Weights = {}
        for layer, (n_in, n_out) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            bound = math.sqrt(6 / (n_in + n_out)) if self.glorot else 1 / math.sqrt(n_in)
            bias_bound = 0.0 if self.glorot else bound
            weights[f"layer{layer}.weight"] = uniform((n_in, n_out), bound, generator)
            weights[f"layer{layer}.bias"] = uniform((1, n_out), bias_bound, generator)
        return weights

    def outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Outputs (models, batch, outputs)."""
        return self._activations(weights, inputs)[-1]

    def _activations(self, weights: Weights, inputs: Tensor) -> list[Tensor]:
        """The inputs of each layer, and the outputs at the end."""
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
        """Backward pass by hand: derivative of the loss by the outputs, then layer by layer."""
        *entering, outputs = self._activations(weights, inputs)
        delta = self._output_delta(outputs, targets, shares)  # (models, batch, outputs)
        for layer in range(len(entering) - 1, -1, -1):
            torch.sum(delta, dim=1, keepdim=True, out=into[f"layer{layer}.bias"])
            if layer == 0 and inputs.dtype == torch.uint8:
                delta = delta * BYTE_SCALE
            torch.bmm(entering[layer].transpose(1, 2), delta, out=into[f"layer{layer}.weight"])
            if layer:
                delta = torch.bmm(delta, weights[f"layer{layer}.weight"].transpose(1, 2))
                # Zero where relu gave zero; one pass instead of a mask and a product.
                delta = torch.ops.aten.threshold_backward(delta, entering[layer], 0)

    def _output_delta(self, outputs: Tensor, targets: Tensor, shares: Tensor) -> Tensor:
        """Derivative of ``sum(shares * losses)`` by the outputs."""
        if self.regression:
            return (outputs - targets.unsqueeze(2)).mul_(2 * shares.unsqueeze(2))
        # Softmax runs several times faster along a dimension that is not the last.
        delta = torch.softmax(outputs.transpose(1, 2).contiguous(), dim=1)  # (m, classes, batch)
        truth = targets.unsqueeze(1)
        delta.scatter_add_(1, truth, torch.full_like(truth, -1, dtype=delta.dtype))
        return delta.mul_(shares.unsqueeze(1)).transpose(1, 2)


class TextAverage(Network):
    """The average of a text's word vectors, then an MLP; word 0 is no word."""

    def __init__(
        self,
        vocabulary_size: int,
        embedding: int,
        hidden: tuple[int, ...],
        n_outputs: int,
        *,
        regression: bool = False,
        glorot: bool = False,
    ) -> None:
        self.shape = (vocabulary_size, embedding)
        self.head = Mlp(embedding, hidden, n_outputs, regression=regression, glorot=glorot)
        self.regression = regression

    def initial(self, seed: int) -> Weights:
        """Small uniform word vectors, and the MLP's weights."""
        generator = torch.Generator().manual_seed(seed)
        return {"words": uniform(self.shape, 0.1, generator)} | self.head.initial(seed + 1)

    def outputs(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Outputs (models, batch, outputs) for word numbers (models, batch, length)."""
        n_models, batch, length = inputs.shape
        words = weights["words"]  # (models, vocabulary, embedding)
        # All vocabularies one after the other, so that one lookup serves the whole stack.
        offsets = torch.arange(n_models, device=inputs.device) * self.shape[0]
        real = (inputs > 0).to(words.dtype)
        shares = real / real.sum(dim=2, keepdim=True).clamp_min(1)
        numbers = inputs.to(torch.int64) + offsets.view(-1, 1, 1)
        averages = functional.embedding_bag(
            numbers.view(-1, length),
            words.flatten(0, 1),
            per_sample_weights=shares.view(-1, length),
            mode="sum",
        )
        return self.head.outputs(weights, averages.view(n_models, batch, -1))
