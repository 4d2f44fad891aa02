"""How raw samples become a network's input; stored with every model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.source import DataError

__all__ = ["Preparation"]


@dataclass(frozen=True, slots=True)
class Preparation:
    """Names of classes and words, and how numeric columns and targets are scaled.

    Columns are scaled to mean 0 and variance 1 over the training samples of all parties; bytes and
    word numbers stay as they are. ``shape`` is that of one sample.
    """

    shape: tuple[int, ...]
    dtype: str
    classes: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    target_mean: float = 0.0
    target_scale: float = 1.0

    @staticmethod
    def of(
        features: NDArray[Any],
        targets: NDArray[Any],
        classes: tuple[str, ...],
        vocabulary: tuple[str, ...],
    ) -> Preparation:
        """The preparation for these training samples."""
        means: tuple[float, ...] = ()
        scales: tuple[float, ...] = ()
        if features.dtype == np.float32:
            means = tuple(map(float, features.mean(axis=0, dtype=np.float64).ravel()))
            spread = features.std(axis=0, dtype=np.float64).ravel()
            scales = tuple(map(float, np.where(spread > 0, spread, 1.0)))
        figures = np.issubdtype(targets.dtype, np.floating)
        return Preparation(
            shape=features.shape[1:],
            dtype=features.dtype.name,
            classes=classes,
            vocabulary=vocabulary,
            means=means,
            scales=scales,
            target_mean=float(targets.mean()) if figures else 0.0,
            target_scale=float(targets.std() or 1.0) if figures else 1.0,
        )

    def features(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Raw samples as a network reads them.

        Raises
        ------
        DataError
            If the samples have another shape or type than those that the models were trained on.
        """
        if raw.shape[1:] != self.shape or raw.dtype.name != self.dtype:
            raise DataError(
                f"Samples are {raw.dtype} of shape {raw.shape[1:]}; expected {self.dtype} of "
                f"shape {self.shape}, as in the training data."
            )
        if not self.means:
            return raw
        means = np.array(self.means).reshape(self.shape)
        scales = np.array(self.scales).reshape(self.shape)
        return np.asarray((raw - means) / scales, dtype=np.float32)

    def targets(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Targets as a network learns them: labels as they are, numbers scaled."""
        if not np.issubdtype(raw.dtype, np.floating):
            return raw
        return np.asarray((raw - self.target_mean) / self.target_scale, dtype=np.float32)

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> Preparation:
        """The preparation that `as_dict` wrote."""
        lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
        return Preparation(**(fields | lists))
