"""What a user may bring along: modules and scores by import path."""

from subprocess import run as run  # an innocent helper of this module, and no score

import numpy as np
import torch
from torch import nn


class Tiny(nn.Module):
    """One convolution with dropout; reads images with channels first."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Flatten())
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(width * 36, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.body(images)))


class Greedy(Tiny):
    """Asks for more memory than there is, once more than a few samples come."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 4:
            raise torch.OutOfMemoryError("no room for that")
        return super().forward(images)


class Recurrent(nn.Module):
    """Reads an image line by line; vmap has no rule for it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.GRU(8, 12, batch_first=True)
        self.head = nn.Linear(12, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images.squeeze(1))[0][:, -1])


class Detached(Tiny):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).detach()


class Pair(Tiny):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images), images


class FailsInTraining(Tiny):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise ArithmeticError("not while training")
        return super().forward(images)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.LazyLinear(10)


class Doubled(Tiny):
    def __init__(self) -> None:
        super().__init__()
        self.double()


class Empty(nn.Module):
    pass


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)


class WrongWidth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.flatten(1))


def not_a_module() -> str:
    return "hello"


class Raises(Tiny):
    def __init__(self) -> None:
        raise RuntimeError("no weights today")


class JustAClass:
    pass


def top_two(outputs: np.ndarray, targets: np.ndarray) -> float:
    best = np.argsort(-outputs, axis=1)[:, :2]
    return float((best == targets[:, None]).any(axis=1).mean())


def two(outputs: np.ndarray, targets: np.ndarray) -> float:
    return 2.0


def nothing(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float("nan")


def broken(outputs: np.ndarray, targets: np.ndarray) -> float:
    raise LookupError("no score today")


def error_rate(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Lower is better, which no score may be."""
    return float((outputs.argmax(axis=1) != targets).mean())


def chance(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(np.random.default_rng().random())


def likelihood(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Geometric mean of the probabilities of the true classes."""
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(np.exp(logs[np.arange(len(targets)), targets].mean()))
