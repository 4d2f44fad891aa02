"""Who measures the coalitions of a round."""

from __future__ import annotations

from settlement.config.reading import RoundConfig
from settlement.round.measuring.external import ExternalScores
from settlement.round.measuring.given import GivenValues
from settlement.round.measuring.measured import Measurer
from settlement.round.measuring.trained import TrainedModels
from settlement.store.answers import AnswerBook

__all__ = ["measurer_of"]


def measurer_of(config: RoundConfig) -> Measurer:
    """The source of scores that the configuration names."""
    if config.given_values is not None:
        return GivenValues(config.given_values)
    if config.external is not None:
        return ExternalScores(config, AnswerBook(config.folder))
    return TrainedModels(config)
