"""Measure again what no chain can know: data, scores of coalitions, scores of model rewards.

The logs prove the money, the table proves the allocation; whether the table came from honest
training only training can tell. The grand coalition and every party alone are always trained
again: payoffs hang on them most. Of the others K are drawn; a forged share of them is missed with a
probability that falls geometrically in K. Model rewards are few: all are scored again. Nothing here
needs a chain, so a party can measure again before it deposits.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml.errors import FairroundError, MlError
from ml.game import describe_coalition
from settlement.audit.drawing import (
    RetrainingError,
    chances_in_words,
    column_of,
    draw_again,
    others_of,
)
from settlement.audit.findings import TOLERANCE_SCORE, Finding
from settlement.config.reading import read_config
from settlement.round.context import Progress
from settlement.round.measuring.external import ExternalScores, external_of
from settlement.round.measuring.trained import DataChanged, agreed_data
from settlement.store.answers import AnswerBook
from settlement.store.documents import ModelRewardEntry, RewardDocument, ValueDocument
from settlement.store.folder import RoundFolder

if TYPE_CHECKING:
    from ml.datasets.collaboration import Collaboration
    from ml.training.recipe import Recipe

__all__ = ["measure_again"]


def measure_again(
    path: Path,
    n_coalitions: int,
    seed: int | None = None,
    progress: Progress = lambda stage, done, total: None,
    tolerance: float = TOLERANCE_SCORE,
) -> tuple[Finding, ...]:
    """Compare a trained round with its data, with some trainings, and with its model rewards.

    Parameters
    ----------
    n_coalitions
        So many random ones are trained again from nothing, besides the grand coalition and every
        party alone.
    seed
        Of the draw; None draws anew each time, so that a forger cannot know what will be drawn.
    tolerance
        How far two scores may be apart, as values from 0 to 1.

    Raises
    ------
    RetrainingError
        If the values were given, or there are fewer coalitions.
    """
    folder = RoundFolder(path)
    stored = ValueDocument.read(folder)
    if stored.source not in ("trained", "external"):
        raise RetrainingError(f"The values of {path} were given; there is nothing to train again.")
    drawn = draw_again(stored, n_coalitions, seed)
    if stored.source == "external":
        return (_asked_again(folder, stored, drawn, progress, tolerance),)
    try:
        collaboration, recipe = agreed_data(read_config(folder.config_path), stored)
    except (DataChanged, MlError, OSError) as error:
        return (Finding("data", str(error)),)
    check = f"data: SHA-256 {collaboration.digest[:16]}..., as the scores were measured on"
    findings = [
        Finding(check, None),
        _scores_again(stored, collaboration, recipe, drawn, progress, tolerance),
    ]
    if stored.buyers:
        findings.append(_untrained_again(stored, collaboration, recipe, tolerance))
    if folder.has("reward"):
        rewards = RewardDocument.read(folder)
        findings.append(_rewards_again(folder, rewards, collaboration, recipe))
    return tuple(findings)


def _scores_again(
    stored: ValueDocument,
    collaboration: Collaboration,
    recipe: Recipe,
    drawn: list[int],
    progress: Progress,
    tolerance: float,
) -> Finding:
    """Train a random sample of coalitions and compare every seed's score with the table."""
    from ml.training.coalitions import train_coalitions

    with tempfile.TemporaryDirectory() as cache:  # nothing may be recalled
        again = train_coalitions(
            collaboration,
            recipe,
            drawn,
            cache=Path(cache),
            progress=lambda done, total: progress("retrain", done, total),
        ).scores
    return _compared(stored, drawn, again, tolerance)


def _untrained_again(
    stored: ValueDocument, collaboration: Collaboration, recipe: Recipe, tolerance: float
) -> Finding:
    """The score of the network as it starts: the least that a buyer without data gets."""
    from ml.training.checks import untrained_score

    found = untrained_score(collaboration, recipe)
    check = f"score of the untrained network, {found:.4f}"
    known = stored.untrained_score
    if known is not None and abs(found - known) <= tolerance:
        return Finding(check, None)
    return Finding(check, f"train/{stored.FILE}: untrained_score is {known}, not {found:.4f}")


def _asked_again(
    folder: RoundFolder,
    stored: ValueDocument,
    drawn: list[int],
    told: Progress,
    tolerance: float,
) -> Finding:
    """Ask the round's function or program for a random sample again, with no answer recalled."""
    config = read_config(folder.config_path)
    if external_of(config).told_by_hand:
        raise RetrainingError(
            f"The scores of {folder.path} were told by people; there is no function or program to "
            f"ask again. `fairround ask DIR --again K` draws what somebody else measures, "
            f"`fairround verify DIR --again FILE` compares that with what was told."
        )
    with tempfile.TemporaryDirectory() as empty:
        scores = ExternalScores(config, AnswerBook(Path(empty)))
        if not scores.asked().items() <= (stored.basis or {}).items():
            return Finding("code", "function or program is not what the scores were measured with.")
        again = scores.measure(drawn, lambda done, total: told("retrain", done, total))
    return _compared(stored, drawn, again, tolerance)


def _compared(
    stored: ValueDocument, drawn: list[int], again: np.ndarray, tolerance: float
) -> Finding:
    """Every seed's score, measured again, beside the table's."""
    columns, others = column_of(stored), others_of(stored)
    n_drawn = len(set(drawn).intersection(others))
    measured = np.array(stored.scores)[:, [columns[coalition] for coalition in drawn]]
    differences = np.abs(again - measured).max(axis=0)
    check = (
        f"{len(drawn)} of {len(columns)} coalitions trained again (all parties together, each "
        f"alone, {n_drawn} of the {len(others)} others), scores within "
        f"{differences.max():.4f} (chance to find a forged one of the others if "
        f"{chances_in_words(len(others), n_drawn)})"
    )
    forged = [
        f"{describe_coalition(drawn[k], stored.parties)} scores {again[:, k].mean():.4f}, "
        f"not {measured[:, k].mean():.4f}"
        for k in np.flatnonzero(differences > tolerance)
    ]
    return Finding(check, f"train/{stored.FILE}: {'; '.join(forged)}" if forged else None)


def _rewards_again(
    folder: RoundFolder, stored: RewardDocument, collaboration: Collaboration, recipe: Recipe
) -> Finding:
    """Load every model reward as its party would, and score it on validation and holdout."""
    check = f"{len(stored.rewards)} model rewards scored again, on validation and holdout"
    sizes = (len(collaboration.validation), len(collaboration.holdout))
    if sizes != (stored.n_validation, stored.n_holdout):
        claimed = f"{stored.n_validation} and {stored.n_holdout}"
        told = f"validation and holdout have {sizes[0]} and {sizes[1]} samples, not {claimed}"
        return Finding(check, f"reward/{stored.FILE}: {told}")
    for entry in stored.entries:
        try:
            _score_again(folder, entry, collaboration, recipe)
        except FairroundError as error:
            name = collaboration.party_names[entry.party]
            return Finding(check, f"reward/{entry.file} of {name}: {error}")
    return Finding(check, None)


def _score_again(
    folder: RoundFolder, entry: ModelRewardEntry, collaboration: Collaboration, recipe: Recipe
) -> None:
    from ml.training.devices import choose_device
    from ml.training.models.cards import load_reward
    from ml.training.scores import Evaluator, score_function

    model = load_reward(folder.stage("reward") / entry.file)
    agreed = {"recipe": recipe.as_dict(), "preparation": collaboration.preparation.as_dict()}
    for name, used in agreed.items():
        if model.card[name] != json.loads(json.dumps(used)):
            raise RetrainingError(f"The {name} in its card is not the round's.")
    device = choose_device(recipe.device)
    weights = {name: tensor.to(device) for name, tensor in model.weights.items()}
    score_of = score_function(recipe, collaboration)
    for what, samples, claimed in (
        ("validation", collaboration.validation, entry.validation_score),
        ("holdout", collaboration.holdout, entry.holdout_score),
    ):
        if not len(samples):
            continue
        try:
            score = Evaluator.on(model.network, score_of, samples, device).score(weights)
        except (RuntimeError, KeyError) as error:  # shapes and names are torch's to check
            raise RetrainingError(f"Its weights do not fit its network: {error!s:.100}.") from None
        # Another device may round one sample to the other side.
        if claimed is None or abs(score - claimed) > 1 / len(samples) + 1e-9:
            raise RetrainingError(
                f"It scores {score:.6f} on {len(samples)} {what} samples; its card says {claimed}."
            )
