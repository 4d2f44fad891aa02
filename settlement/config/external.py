"""The table ``[external]``: models are trained elsewhere, and their scores are told."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ml.schema import FROM_DECIMAL, Filled, Seed, Table

__all__ = ["ExternalConfig"]

Number = Annotated[float, FROM_DECIMAL]
Two = Annotated[tuple[Number, ...], Field(strict=False, min_length=2, max_length=2)]


class ExternalConfig(Table):
    """Who measures the scores of coalitions, and in which range they are.

    A function, a program, or, where neither is named, people and machines elsewhere: they ask for
    coalitions with `fairround ask` and answer with `fairround tell`.
    """

    evaluate: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="`package.module:function`, called as `function(members, seed)`; runs only "
        "with `--allow-module`",
    )
    command: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        None,
        description="a program that reads a question and writes an answer a line, in JSON; runs "
        "only with `--allow-command`",
    )
    seeds: Filled[Seed] = Field((0,), description="each coalition is measured with each of them")
    score_range: Two = Field(
        (0.0, 1.0),
        description="score that nobody at all has, and the highest possible one; values are the "
        "way between them",
    )
    timeout_s: Annotated[float, Field(gt=0, le=10**7), FROM_DECIMAL] = Field(
        3600.0, description="seconds in which function or program must have answered"
    )
    retries: int = Field(
        1, ge=0, le=1000, description="how often a question is asked again that got no answer"
    )

    @field_validator("score_range")
    @classmethod
    def _upwards(cls, score_range: tuple[float, ...]) -> tuple[float, ...]:
        low, high = score_range
        if low == high:
            raise ValueError(f"from {low!r} to {high!r} there is no way; expected two numbers")
        if not low < high:
            raise ValueError(
                f"{low:g} is not below {high:g}; higher scores must be better. Where lower is "
                f"better, as with a loss, tell its negative: score_range = [{-low:g}, {-high:g}]"
            )
        if not math.isfinite(high - low):
            raise ValueError(f"{high:g} is further above {low:g} than floats reach; expected less")
        return score_range

    @model_validator(mode="after")
    def _one_way(self) -> ExternalConfig:
        if self.evaluate is not None and self.command is not None:
            raise ValueError("evaluate and command are both there; expected one of them, or none")
        return self

    @property
    def told_by_hand(self) -> bool:
        """Whether neither function nor program is named: people and machines elsewhere tell."""
        return self.evaluate is None and self.command is None
