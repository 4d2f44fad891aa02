"""Scores of models on a set of samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ml.datasets.collaboration import Samples
from ml.training.networks import Network, Weights

__all__ = ["Judge"]

ROWS_AT_A_TIME = 2048


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores models of a network on one set of samples, kept on the device."""

    network: Network
    features: Tensor
    targets: Tensor

    @staticmethod
    def on(network: Network, samples: Samples, device: torch.device) -> Judge:
        """A judge with the samples on this device."""
        features = torch.from_numpy(samples.features).to(device)
        return Judge(network, features, torch.from_numpy(samples.targets).to(device))

    @torch.no_grad()
    def outputs(self, weights: Weights) -> Tensor:
        """Outputs (samples, outputs) of one model."""
        stack = {name: tensor.unsqueeze(0) for name, tensor in weights.items()}
        parts = [
            self.network.outputs(stack, rows.unsqueeze(0))[0]
            for rows in torch.split(self.features, ROWS_AT_A_TIME)
        ]
        return torch.cat(parts)

    def score(self, weights: Weights) -> float:
        """Share of samples whose class the model names."""
        right = (self.outputs(weights).argmax(dim=1) == self.targets).sum()
        return int(right) / len(self.targets)
