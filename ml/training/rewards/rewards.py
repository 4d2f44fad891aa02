"""Model rewards: for each party a model whose validation score is the one that it has paid for.

A party's reward starts from its own model and is trained on the grand coalition's data until its
validation score meets the target; see `target_training`. A buyer, who has no data, starts from the
network as it is before any training; one that bought nothing gets no model. A target that this
training does not reach is met on the straight line from the best model so far to the grand model.

With several seeds a target is a mean over seeds, and the models of single seeds score above and
below it. A reward then starts from the best own model below its target, and the line ends in a
grand model at or above it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.datasets.collaboration import Collaboration
from ml.errors import MlError
from ml.training.cache import CacheError, FinishedModel, ModelCache
from ml.training.coalitions import Progress, model_keys, train_coalitions
from ml.training.devices import reproducible
from ml.training.models.cards import write_card
from ml.training.models.model_files import write_model
from ml.training.recipe import Recipe
from ml.training.rewards.brackets import Scored
from ml.training.rewards.target_training import (
    Candidate,
    RewardContext,
    TargetTask,
    train_to_targets,
)
from ml.training.scores import Evaluator

__all__ = ["RewardError", "RewardModel", "train_rewards"]

ATTEMPTS = 3
"""How often a model that vanished from the cache is trained again."""


class RewardError(MlError):
    """A target is not between the scores of the party's own and the grand model, or is not met."""


@dataclass(frozen=True, slots=True)
class RewardModel:
    """One party's reward: its file of weights and their scores.

    ``holdout_score`` is None if the data have no holdout. ``made`` says in words how the model was
    made. ``sha256`` is that of the file.
    """

    party: int
    party_name: str
    target: float
    validation_score: float
    holdout_score: float | None
    file: str
    sha256: str
    made: str


def train_rewards(
    collaboration: Collaboration,
    recipe: Recipe,
    targets: ArrayLike,
    out: Path,
    *,
    cache: Path,
    best_coalition: ArrayLike | None = None,
    progress: Progress | None = None,
) -> tuple[RewardModel, ...]:
    """Train and save a model for each party whose validation score is its target.

    A party whose target is its own score gets its own model; one whose target is the grand score
    gets the grand model; a buyer without data whose target is 0 gets none, and is left out.

    Parameters
    ----------
    targets : float, shape (n,)
        Validation scores, each from the party's own to the grand coalition's (means over seeds); of
        a buyer 0, or from `untrained_score`.
    out : Path
        Folder for the files ``<party>-<name>.safetensors`` and their cards, ``.json``.
    cache : Path
        Where `train_coalitions` keeps models; own and grand models come from there.
    best_coalition : int, shape (2**n,), optional
        Which coalition's model stands for each coalition, if a cover of the table says so; the
        grand model is then the one that stands for the grand coalition.
    progress : callable, optional
        Told parties done and parties in all.

    Raises
    ------
    RewardError
        If a target is not between the party's own score and the grand one (one validation sample
        beyond counts as rounding), or the score jumps over it; no file is written then.
    """
    wanted = np.asarray(targets, dtype=np.float64).reshape(-1)
    n_parties = collaboration.n_parties
    if wanted.shape != (n_parties,):
        raise RewardError(f"Found {len(wanted)} targets; expected {n_parties}, one for each party.")
    grand = collaboration.grand_coalition
    if best_coalition is not None:
        grand = int(np.asarray(best_coalition).reshape(-1)[grand])
    context = RewardContext(collaboration, recipe)
    chosen, tasks = _assign(context, collaboration, wanted, grand, cache)
    report = progress or (lambda done, total: None)
    n_rewards = len(chosen) + len(tasks)
    report(len(chosen), n_rewards)
    with reproducible(context.device, int(collaboration.digest[:15], 16)):
        for task, candidate in train_to_targets(
            context, tasks, collaboration.coalition_indices(grand)
        ):
            chosen[task.party] = candidate
            report(len(chosen), n_rewards)
    return _save(context, collaboration, wanted, chosen, out)


def _assign(
    context: RewardContext,
    collaboration: Collaboration,
    targets: NDArray[np.float64],
    grand: int,
    cache: Path,
) -> tuple[dict[int, Candidate], list[TargetTask]]:
    """Rewards that need no training, and training tasks for others; neither for nothing bought."""
    singles = [1 << party for party in range(collaboration.n_parties)]
    # Trains again whatever has been pruned from the cache.
    train_coalitions(collaboration, context.recipe, [*singles, grand], cache=cache)
    one_sample = context.one_sample + 1e-9

    def models(coalition: int) -> list[Scored]:
        found = _kept_models(collaboration, context.recipe, coalition, cache)
        return [
            Scored({name: t.to(context.device) for name, t in model.weights.items()}, model.score)
            for model in found
        ]

    grand_models = models(grand)
    top = float(np.mean([model.score for model in grand_models]))
    ready: dict[int, Candidate] = {}
    tasks: list[TargetTask] = []
    for party, target in enumerate(map(float, targets)):
        own_models, origin, itself = models(1 << party), "its own model", "the party's own model"
        if own_models:
            own = float(np.mean([model.score for model in own_models]))
        elif target > 0:
            own_models, origin = _untrained(context), "an untrained network"
            itself = origin
            own = min(model.score for model in own_models)
        else:
            continue
        # A model that had to be trained again may round to another score, by a sample or so.
        # Training may have spoilt what an untrained network had: a buyer then gets that one.
        if not own - one_sample <= target <= max(top, own) + one_sample:
            name = collaboration.party_names[party]
            raise RewardError(
                f'Party {party} ("{name}") has target {target:.6f}; expected from its own score '
                f"{own:.6f} to the grand score {top:.6f}."
            )
        there = [(model, "the grand model itself") for model in grand_models]
        there += [(model, f"{itself} itself") for model in own_models]
        nearest, made = min(there, key=lambda pair: abs(pair[0].score - target))
        below = [model for model in own_models if model.score < target]
        above = [model for model in grand_models if model.score >= target]
        if abs(nearest.score - target) <= one_sample / 2 or not (below and above):
            ready[party] = Candidate(nearest, made)
        else:
            start = max(below, key=lambda model: model.score)
            goal = min(above, key=lambda model: model.score)
            tasks.append(TargetTask(party, target, origin, start, goal))
    return ready, tasks


def _untrained(context: RewardContext) -> list[Scored]:
    """The network as it is before any training, for each seed."""
    started = [context.network.initial(seed) for seed in context.recipe.seeds]
    there = [{name: t.to(context.device) for name, t in one.items()} for one in started]
    return [Scored(weights, context.evaluator.score(weights)) for weights in there]


def _kept_models(
    collaboration: Collaboration, recipe: Recipe, coalition: int, cache: Path
) -> list[FinishedModel]:
    """A coalition's models; trained again if another process prunes the cache meanwhile."""
    store = ModelCache(cache)
    for _ in range(ATTEMPTS):
        found = [store.get(key) for key in model_keys(collaboration, recipe, coalition)]
        kept = [model for model in found if model is not None]
        if len(kept) == len(found):
            return kept
        train_coalitions(collaboration, recipe, [coalition], cache=cache)
    raise CacheError(
        f"Models of coalition {coalition} were gone from {cache} {ATTEMPTS} times right after they "
        "were trained. Stop what is deleting them there, or choose another folder."
    )


def _save(
    context: RewardContext,
    collaboration: Collaboration,
    targets: NDArray[np.float64],
    chosen: dict[int, Candidate],
    out: Path,
) -> tuple[RewardModel, ...]:
    """Check every reward against its target and write the files."""
    holdout_score_of: Callable[..., float] | None = None
    if len(collaboration.holdout):
        holdout_score_of = Evaluator.on(
            context.network, context.score_of, collaboration.holdout, context.device
        ).score
    scores = {party: context.evaluator.score(c.model.weights) for party, c in chosen.items()}
    wanted = {party: float(targets[party]) for party in sorted(chosen)}
    for party, target in wanted.items():  # all of them before any file is written
        if abs(scores[party] - target) > context.one_sample + 1e-9:
            name = collaboration.party_names[party]
            raise RewardError(
                f'The reward of party {party} ("{name}") scores {scores[party]:.6f}; expected '
                f"{target:.6f} to within one validation sample ({context.one_sample:.6f}). The "
                "score jumps over it: equal validation samples change together, or the score has "
                "steps. Take those samples out, add others, or score otherwise."
            )
    rewards = []
    for party, target in wanted.items():
        candidate, score = chosen[party], scores[party]
        weights, name = candidate.model.weights, collaboration.party_names[party]
        slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "party"
        file = f"{party}-{slug}.safetensors"
        holdout = None if holdout_score_of is None else holdout_score_of(weights)
        facts = {
            "party": str(party),
            "party_name": name,
            "target": repr(target),
            "validation_score": repr(score),
            "recipe": context.recipe.digest,
            "data": collaboration.digest,
            "made": candidate.made,
        }
        sha256 = write_model(Path(out) / file, weights, facts)
        reward = RewardModel(party, name, target, score, holdout, file, sha256, candidate.made)
        card = asdict(reward) | {"data_sha256": collaboration.digest}
        write_card(Path(out) / file, context.recipe, collaboration.preparation, card)
        rewards.append(reward)
    return tuple(rewards)
