"""The source "huggingface": a data set of the datasets library, by name or from a folder."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np
from numpy.typing import NDArray

from ml.datasets.labels import as_targets
from ml.datasets.readers.tables import require_same_columns
from ml.datasets.readers.text import encode_texts, vocabulary
from ml.datasets.source import DataError, Source
from ml.datasets.spec import DataSpec

__all__ = ["huggingface"]

HUB_TIMEOUT_S = 5


def huggingface(spec: DataSpec) -> Source:
    """Splits "train" and, if there, "test" of a data set; needs ``fairround[huggingface]``.

    ``data.dataset`` is a name on the hub or a folder that ``save_to_disk`` wrote; ``data.target``
    its label column; ``data.text`` its text column, if it is one of texts. Otherwise the images or
    the columns of numbers are the features.
    """
    try:
        import datasets
    except ImportError as trouble:
        raise DataError(
            "This source needs the datasets library: install fairround[huggingface]."
        ) from trouble
    try:
        if Path(spec.dataset).is_dir():
            found: Any = datasets.load_from_disk(spec.dataset)
        else:
            found = _from_hub(spec)
    except Exception as trouble:  # the library raises errors of many other libraries
        raise DataError(
            f"Data set {spec.dataset} cannot be loaded: {str(trouble).rstrip('.')}. Expected a "
            "name on the hub or a folder that save_to_disk wrote."
        ) from trouble
    parts = dict(found.items()) if hasattr(found, "items") else {"train": found}
    if "train" not in parts:
        raise DataError(f'{spec.dataset} has splits {", ".join(parts)}; expected "train".')
    test = parts.get("test", parts.get("validation"))
    known: dict[str, int] = {}
    if spec.text:
        known = vocabulary(_column(spec, parts["train"], spec.text), spec.vocabulary_size)
    names = {"train": _named_features(spec, parts["train"])}
    if test is not None:
        names["test"] = _named_features(spec, test)
    require_same_columns(names)
    raw_test = None if test is None else np.asarray(_column(spec, test, spec.target))
    targets, test_targets, classes = as_targets(
        np.asarray(_column(spec, parts["train"], spec.target)), raw_test, spec.task
    )
    return Source(
        features=_features(spec, parts["train"], known),
        targets=targets,
        n_classes=len(classes),
        test_features=None if test is None else _features(spec, test, known),
        test_targets=test_targets,
        classes=classes,
        vocabulary=tuple(known),
        columns=names["train"],
    )


def _from_hub(spec: DataSpec) -> Any:
    """A data set of the hub; if the hub cannot be reached, an earlier download of it.

    The library itself tries for half a minute before it says that there is no way.
    """
    import datasets
    from huggingface_hub import constants

    kept = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    try:
        if not _reachable(datasets.config.HF_ENDPOINT):
            datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
        return datasets.load_dataset(spec.dataset, spec.subset or None)
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = kept


def _reachable(endpoint: str) -> bool:
    """Whether the hub can be reached, directly or through a proxy."""
    address = urlsplit(endpoint)
    if getproxies().get(address.scheme):
        return True
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), HUB_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _column(spec: DataSpec, part: Any, name: str) -> Any:
    if name not in part.column_names:
        raise DataError(
            f'{spec.dataset} has columns {", ".join(part.column_names)}; expected also "{name}".'
        )
    return list(part[name])


def _feature_names(spec: DataSpec, part: Any) -> list[str]:
    return sorted(name for name in part.column_names if name not in (spec.target, spec.id))


def _named_features(spec: DataSpec, part: Any) -> tuple[str, ...]:
    """Names of the columns of numbers; none where texts or images are the features."""
    names = () if spec.text else tuple(_feature_names(spec, part))
    return names if all(isinstance(part[0][name], int | float) for name in names) else ()


def _is_image(part: Any, name: str) -> bool:
    return hasattr(part[0][name], "convert")


def _features(spec: DataSpec, part: Any, known: dict[str, int]) -> NDArray[Any]:
    if spec.text:
        return encode_texts(_column(spec, part, spec.text), known, spec.max_words)
    names = _feature_names(spec, part)
    if len(names) == 1 and _is_image(part, names[0]):
        images = [np.asarray(image, np.uint8) for image in part[names[0]]]
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise DataError(f"{spec.dataset} has images of shapes {shapes}; expected one size.")
        return np.stack(images)
    try:
        figures = np.stack([np.asarray(part[name], np.float32) for name in names], axis=1)
    except (ValueError, TypeError) as trouble:
        raise DataError(
            f"{spec.dataset} has columns that are no numbers ({trouble}); name the text column or "
            "choose another data set."
        ) from trouble
    if not np.isfinite(figures).all():
        raise DataError(f"{spec.dataset} has features that are NaN or infinite.")
    return figures.reshape(len(figures), -1)
