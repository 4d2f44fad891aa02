"""The device that a recipe runs on, and reproducible arithmetic on it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["choose_device", "reproducible", "to_device"]

log = logging.getLogger(__name__)


@functools.cache
def choose_device(wanted: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda"; without CUDA it says so once and takes the CPU."""
    if wanted != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted != "cpu":
        log.warning("No CUDA device was found; training goes on with the CPU.")
    return torch.device("cpu")


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on the device; shared memory that may not be written to is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


@contextmanager
def reproducible(device: torch.device, seed: int) -> Iterator[None]:
    """A context in which dropout follows the seed and convolutions use full float32.

    CPU and CUDA share cached models, so the shorter floats of cuDNN are turned off.
    Torch's own random state is restored afterwards.
    """
    cards = [torch.cuda.current_device()] if device.type == "cuda" else []
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with torch.random.fork_rng(devices=cards), exact:
        torch.manual_seed(seed)
        yield
