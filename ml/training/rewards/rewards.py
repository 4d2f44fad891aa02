"""Model rewards: for each party a model whose validation score is what it is owed.

A party's reward starts from its own model and is trained on the grand coalition's data until its
validation score meets the target. All parties train in one stack, evaluated every few steps; the
last bracket of each is replayed step by step, and the weights between the two steps around the
crossing are bisected. A target that this training does not reach is met on the line from the best
model so far to the grand model.

With several seeds targets are means over seeds, and a single seed's own and grand model lie to
both sides of them: a reward starts from the best own model below its target, and the line ends in
a grand model at or above it. One always exists.
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
from ml.training.rewards.pursuit import Candidate, Quest, Workshop, pursue
from ml.training.scores import Judge

__all__ = ["RewardError", "RewardModel", "train_rewards"]

#: How often a model that vanished from the cache is trained again.
ATTEMPTS = 3


class RewardError(MlError):
    """A target lies outside what the party's own and the grand model span."""


@dataclass(frozen=True, slots=True)
class RewardModel:
    """One party's reward: where its weights are and what they score.

    ``holdout_score`` is None if the data have no holdout. ``made`` says in words how the model came
    to be. ``sha256`` is of the file.
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
    gets the grand model.

    Parameters
    ----------
    targets : float, shape (n,)
        Validation scores, each from the party's own to the grand coalition's (means over seeds).
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
    workshop = Workshop(collaboration, recipe)
    finalists, quests = _assign(workshop, collaboration, wanted, grand, cache)
    report = progress or (lambda done, total: None)
    report(len(finalists), n_parties)
    with reproducible(workshop.device, int(collaboration.digest[:15], 16)):
        for quest, candidate in pursue(workshop, quests, collaboration.coalition_indices(grand)):
            finalists[quest.party] = candidate
            report(len(finalists), n_parties)
    return _save(workshop, collaboration, wanted, finalists, out)


def _assign(
    workshop: Workshop,
    collaboration: Collaboration,
    targets: NDArray[np.float64],
    grand: int,
    cache: Path,
) -> tuple[dict[int, Candidate], list[Quest]]:
    """Parties whose reward exists already, and for the others where to start."""
    singles = [1 << party for party in range(collaboration.n_parties)]
    # Recalls all of them, and trains again what a pruned cache no longer has.
    train_coalitions(collaboration, workshop.recipe, [*singles, grand], cache=cache)
    one_sample = workshop.one_sample + 1e-9

    def models(coalition: int) -> list[Scored]:
        found = _kept_models(collaboration, workshop.recipe, coalition, cache)
        return [
            Scored({name: t.to(workshop.device) for name, t in model.weights.items()}, model.score)
            for model in found
        ]

    grand_models = models(grand)
    top = float(np.mean([model.score for model in grand_models]))
    ready: dict[int, Candidate] = {}
    quests: list[Quest] = []
    for party, target in enumerate(map(float, targets)):
        own_models = models(1 << party)
        own = float(np.mean([model.score for model in own_models]))
        # A model that had to be trained again may round to another score, by a sample or so.
        if not own - one_sample <= target <= top + one_sample:
            name = collaboration.party_names[party]
            raise RewardError(
                f'Party {party} ("{name}") has target {target:.6f}; expected from its own score '
                f"{own:.6f} to the grand score {top:.6f}."
            )
        there = [(model, "the grand model itself") for model in grand_models]
        there += [(model, "the party's own model itself") for model in own_models]
        nearest, made = min(there, key=lambda pair: abs(pair[0].score - target))
        below = [model for model in own_models if model.score < target]
        above = [model for model in grand_models if model.score >= target]
        if abs(nearest.score - target) <= one_sample / 2 or not (below and above):
            ready[party] = Candidate(nearest, made)
        else:
            start = max(below, key=lambda model: model.score)
            goal = min(above, key=lambda model: model.score)
            quests.append(Quest(party, target, start, goal))
    return ready, quests


def _kept_models(
    collaboration: Collaboration, recipe: Recipe, coalition: int, cache: Path
) -> list[FinishedModel]:
    """A coalition's models, trained again if somebody prunes the cache at the same time."""
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
    workshop: Workshop,
    collaboration: Collaboration,
    targets: NDArray[np.float64],
    finalists: dict[int, Candidate],
    out: Path,
) -> tuple[RewardModel, ...]:
    """Check every reward against its target and write the files."""
    holdout_judge: Callable[..., float] | None = None
    if len(collaboration.holdout):
        holdout_judge = Judge.on(
            workshop.network, workshop.score_of, collaboration.holdout, workshop.device
        ).score
    scores = {party: workshop.judge.score(c.model.weights) for party, c in finalists.items()}
    for party, target in enumerate(map(float, targets)):  # all of them before any file is written
        if abs(scores[party] - target) > workshop.one_sample + 1e-9:
            name = collaboration.party_names[party]
            raise RewardError(
                f'The reward of party {party} ("{name}") scores {scores[party]:.6f}; expected '
                f"{target:.6f} to within one validation sample ({workshop.one_sample:.6f}). The "
                "score jumps over it: equal validation samples change together, or the score has "
                "steps. Take those samples out, add others, or score otherwise."
            )
    rewards = []
    for party, target in enumerate(map(float, targets)):
        candidate, score = finalists[party], scores[party]
        weights, name = candidate.model.weights, collaboration.party_names[party]
        slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "party"
        file = f"{party}-{slug}.safetensors"
        holdout = None if holdout_judge is None else holdout_judge(weights)
        facts = {
            "party": str(party),
            "party_name": name,
            "target": repr(target),
            "validation_score": repr(score),
            "recipe": workshop.recipe.digest,
            "data": collaboration.digest,
            "made": candidate.made,
        }
        sha256 = write_model(Path(out) / file, weights, facts)
        reward = RewardModel(party, name, target, score, holdout, file, sha256, candidate.made)
        card = asdict(reward) | {"data_sha256": collaboration.digest}
        write_card(Path(out) / file, workshop.recipe, collaboration.preparation, card)
        rewards.append(reward)
    return tuple(rewards)
