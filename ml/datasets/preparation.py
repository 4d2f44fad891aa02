"""How raw samples become a network's input; stored with every model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from ml.datasets.source import DataError
from ml.schema import Listed, Table, read_table

__all__ = ["Preparation"]


MAX_INPUTS = 10**7
"""Most numbers in one sample."""

Names = Annotated[tuple[str, ...], Field(strict=False)]
Figures = Annotated[tuple[float, ...], Field(strict=False)]
Shape = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1)]
Spread = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False)]


class Preparation(Table):
    """Names of classes, words and columns, and how numeric columns and targets are scaled.

    Columns are scaled to mean 0 and variance 1 over the training samples of all parties; bytes and
    word numbers stay as they are. ``shape`` is that of one sample.
    """

    shape: Shape
    dtype: Literal["uint8", "int32", "float32"]
    classes: Listed[str] = ()
    vocabulary: Names = ()
    columns: Listed[str] = ()
    means: Figures = ()
    scales: Spread = ()
    target_mean: float = 0.0
    target_scale: float = Field(1.0, gt=0)

    @field_validator("shape")
    @classmethod
    def _of_some_size(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if math.prod(shape) > MAX_INPUTS:
            raise ValueError(f"expected at most {MAX_INPUTS:,} numbers a sample")
        return shape

    @field_validator("columns", "means", "scales")
    @classmethod
    def _one_an_input(cls, items: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        inputs = math.prod(info.data.get("shape", (len(items),)))
        if items and len(items) != inputs:
            raise ValueError(f"expected one of them for each of {inputs} inputs")
        return items

    @staticmethod
    def of(
        features: NDArray[Any],
        targets: NDArray[Any],
        classes: tuple[str, ...],
        vocabulary: tuple[str, ...],
        columns: Sequence[str] = (),
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
            dtype=features.dtype.name,  # type: ignore[arg-type]
            classes=classes,
            vocabulary=vocabulary,
            columns=tuple(columns),
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
        return self.model_dump()

    @staticmethod
    def from_dict(fields: object) -> Preparation:
        """The preparation that `as_dict` wrote.

        Raises
        ------
        SpecError
            If it is none.
        """
        return read_table(Preparation, fields, "preparation")
