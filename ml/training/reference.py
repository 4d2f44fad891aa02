"""Training one model at a time in plain PyTorch; the stacked trainer must equal it.

A test compares the two after full training, and the benchmark compares their speed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.training.models.networks import Mlp, Weights
from ml.training.stack.orders import Trainee, sample_order

__all__ = ["linear_layers", "train_one"]


def linear_layers(network: Mlp, weights: Weights) -> nn.Sequential:
    """The MLP as torch's own module, with these weights; torch keeps (outputs, inputs)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for layer, (n_in, n_out) in enumerate(zip(network.widths, network.widths[1:], strict=False)):
        linear = nn.Linear(n_in, n_out)
        with torch.no_grad():
            linear.weight.copy_(weights[f"layer{layer}.weight"].T)
            linear.bias.copy_(weights[f"layer{layer}.bias"][0])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train_one(
    model: nn.Module,
    trainee: Trainee,
    features: Tensor,
    targets: Tensor,
    *,
    batch_size: int,
    learning_rate: float,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> nn.Module:
    """Train one module in place with Adam, in the trainee's own sample order; returns it."""
    rows = torch.as_tensor(trainee.rows, device=features.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    step = epoch = 0
    while step < trainee.n_steps:
        order = sample_order(trainee.order_key, epoch, len(rows), features.device)
        for positions in torch.split(order, batch_size)[: trainee.n_steps - step]:
            batch = rows[positions]
            inputs = features[batch]
            if inputs.dtype == torch.uint8:
                inputs = inputs.float() / 255
            optimizer.zero_grad()
            loss(model(inputs), targets[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        epoch += 1
    return model
