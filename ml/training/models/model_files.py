"""Weights on disk: safetensors with a hash inside, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load as deserialise
from safetensors.torch import save as serialise

from ml.errors import MlError
from ml.files import write_atomically
from ml.training.models.networks import Weights

__all__ = ["ModelFileError", "read_model", "write_model"]

DIGEST = "content_sha256"


class ModelFileError(MlError):
    """A file of weights is missing, damaged or of another kind."""


def _content_digest(weights: Weights, facts: dict[str, str]) -> str:
    total = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(weights):
        array = weights[name].detach().cpu().contiguous().numpy()
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.data)
    return total.hexdigest()


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of a safetensors file: length of the header, the header as JSON, the body."""
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length])), content[8 + length :]


def _in_order(content: bytes) -> bytes:
    """The same file with its header sorted, so that equal models are equal files."""
    header, body = _split(content)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the body stays aligned
    return len(text).to_bytes(8, "little") + text + body


def write_model(
    path: Path, weights: Weights, facts: dict[str, str], *, durable: bool = True
) -> str:
    """Write weights and facts about them; returns the SHA-256 of the file, in hexadecimal."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    metadata = facts | {DIGEST: _content_digest(tensors, facts)}
    content = _in_order(serialise(tensors, metadata=metadata))
    write_atomically(path, content, durable=durable)
    return hashlib.sha256(content).hexdigest()


def read_model(path: Path) -> tuple[Weights, dict[str, str]]:
    """Weights and facts from a file that `write_model` wrote, verified by the hash inside.

    Raises
    ------
    ModelFileError
        If the file is missing, is no safetensors file, or does not match its hash.
    """
    try:
        content = path.read_bytes()
        weights = deserialise(content)
        facts = dict(_split(content)[0].get("__metadata__", {}))
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as trouble:
        raise ModelFileError(f"{path} cannot be read as safetensors: {trouble}.") from trouble
    expected = facts.pop(DIGEST, "none")
    found = _content_digest(weights, facts)
    if found != expected:
        raise ModelFileError(
            f"{path} has content SHA-256 {found}; expected {expected}. It was changed after it was "
            "written; delete it and train again."
        )
    return {name: tensor.to(torch.float32) for name, tensor in weights.items()}, facts
