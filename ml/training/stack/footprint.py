"""How many models fit in a stack, from the memory that each takes.

The memory is found by a step on torch's meta device, where tensors have a size but no content.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ml.datasets.collaboration import Collaboration
from ml.training.models.networks import Network
from ml.training.recipe import Recipe
from ml.training.stack.stack import Stack

__all__ = ["bytes_per_model", "layout_size"]

STACK_BYTES_ON_CUDA = 8 * 2**30
"""Memory that one stack may take on a CUDA device. It is the same for every device, because results
depend on the size of a stack."""

log = logging.getLogger(__name__)


class PeakBytes(TorchDispatchMode):
    """The most memory that tensors made under this mode held at one time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry out one operation and add up the memory of all tensors alive after it."""
        results = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._alive[reference.cdata] = (reference, storage.nbytes())
        self._alive = {
            key: (reference, size)
            for key, (reference, size) in self._alive.items()
            if not reference.expired()  # type: ignore[no-untyped-call]
        }
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return results


def bytes_per_model(network: Network, collaboration: Collaboration, batch_size: int) -> int:
    """Device memory that each further model of a stack takes at the peak of a step.

    Counts weights, gradients, both moments of Adam, a batch and what the backward pass keeps of it;
    for a module that cannot run on the meta device, weights, gradients and moments alone.
    """
    initial = network.initial(0)
    sample = torch.from_numpy(collaboration.train.features[:1].copy())
    target = torch.from_numpy(collaboration.train.targets[:1].copy())

    def peak(n_models: int) -> int:
        def batch(first: Tensor) -> Tensor:
            shape = (n_models, batch_size, *first.shape[1:])
            return torch.empty(shape, dtype=first.dtype, device="meta")

        with PeakBytes() as watched:
            weights = {
                name: torch.empty((n_models, *tensor.shape), device="meta")
                for name, tensor in initial.items()
            }
            shares = torch.empty(n_models, batch_size, device="meta")
            Stack(network, weights, 1e-3).step(batch(sample), batch(target), shares)
        return int(watched.peak)

    try:
        return peak(3) - peak(2)
    except Exception as trouble:  # a user's module may do anything
        log.debug("The module does not run on the meta device: %r", trouble)
        return sum(4 * tensor.nbytes for tensor in initial.values())


def layout_size(
    network: Network, recipe: Recipe, collaboration: Collaboration, device_type: str
) -> int:
    """How many models train as one stack: the recipe's number, or the best one that fits."""
    if recipe.stack_size:
        return recipe.stack_size
    size = network.best_stack_size(device_type)
    if device_type != "cuda":
        return size
    each = bytes_per_model(network, collaboration, recipe.batch_size)
    return max(1, min(size, STACK_BYTES_ON_CUDA // each))
