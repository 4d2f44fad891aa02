"""Predictions of a reward model for the samples of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.readers.folders import IMAGES
from ml.datasets.readers.tables import read_columns
from ml.datasets.source import DataError
from ml.training.models.cards import LoadedModel, Predictions, load_reward

__all__ = ["predict_file", "read_samples"]


def predict_file(weights_path: str | Path, samples_path: str | Path) -> Predictions:
    """Predictions of the reward in one file for the samples in another.

    Samples are an npy array, the array ``features`` of an npz archive, a csv file with the columns
    of the training data in any order, a text file with one text a line, or one image.

    Raises
    ------
    DataError, CardError, ModelFileError
        If samples, card or weights cannot be used.
    """
    model = load_reward(weights_path)
    return model.predict(read_samples(Path(samples_path), model))


def read_samples(path: Path, model: LoadedModel) -> NDArray[Any] | list[str]:
    """Samples of a file as the model's `predict` takes them."""
    if not path.is_file():
        raise DataError(f"{path} is no file; name one with the samples to predict.")
    try:
        if path.suffix == ".txt":
            return path.read_text(encoding="utf-8").splitlines()
        if path.suffix == ".npy":
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            return array
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return np.asarray(archive["features"])
        if path.suffix == ".csv":
            if not model.preparation.columns:
                raise DataError(
                    f"{path} has columns by name; the model was trained on arrays without names. "
                    "Give it an npy or npz file."
                )
            return read_columns(path, model.preparation.columns)
        if path.suffix.lower() in IMAGES:
            return _image(path, model)
    except (OSError, ValueError, KeyError, EOFError) as trouble:
        raise DataError(f"{path} cannot be read: {trouble}.") from trouble
    raise DataError(
        f"{path} is of no known kind; expected .npy, .npz, .csv, .txt, or an image such as .png."
    )


def _image(path: Path, model: LoadedModel) -> NDArray[Any]:
    """One image as a batch of one, grey or in colour as the model's."""
    try:
        from PIL import Image
    except ImportError as trouble:
        raise DataError("Images need Pillow: install fairround[images].") from trouble
    with Image.open(path) as image:
        mode = "L" if len(model.preparation.shape) == 2 else "RGB"
        return np.asarray(image.convert(mode), np.uint8)[None]
