"""A recorder that does on a CPU what a CUDA graph does on a device."""

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Tape(TorchDispatchMode):
    """Operations in their order, with the memory they read and write."""

    def __init__(self):
        super().__init__()
        self.operations = []
        self.own = set()
        self.before = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # What was there before the recording must be there after it: nothing is carried out.
        if function._schema.is_mutable:
            touched = [t for t in tensors((args, kwargs)) if not self.made(t)]
            self.before += [(t, t.detach().clone()) for t in touched]
        out = function(*args, **kwargs)
        inputs = {StorageWeakRef(t.untyped_storage()).cdata for t in tensors((args, kwargs))}
        fresh = {StorageWeakRef(t.untyped_storage()).cdata for t in tensors(out)} - inputs
        self.own |= fresh
        self.operations.append((function, args, kwargs, out))
        return out

    def made(self, tensor):
        return StorageWeakRef(tensor.untyped_storage()).cdata in self.own

    @torch.no_grad()
    def undo(self):
        for tensor, content in reversed(self.before):
            tensor.copy_(content)
        self.before = []

    @torch.no_grad()
    def replay(self):
        """Carry the operations out again, results into the memory of the recording."""
        for function, args, kwargs, out in self.operations:
            for old, new in zip(tensors(out), tensors(function(*args, **kwargs)), strict=True):
                if old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                    old.copy_(new)


class TapeRecorder:
    def __init__(self):
        self.n_warm = self.n_replays = 0
        self.tapes = []

    def warm_up(self, work):
        self.n_warm += 1
        work()

    def record(self, work):
        tape = Tape()
        with tape:
            work()
        tape.undo()
        self.tapes.append(tape)

        def replay():
            self.n_replays += 1
            tape.replay()

        return replay

    def forget(self):
        pass
