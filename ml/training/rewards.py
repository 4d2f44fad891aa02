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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.datasets.collaboration import Collaboration
from ml.errors import BrokenInvariant, MlError
from ml.training.brackets import Scored, bisect_weights
from ml.training.cache import ModelCache
from ml.training.cards import write_card
from ml.training.devices import choose_device, reproducible, to_device
from ml.training.evaluate import Judge, score_function
from ml.training.model_files import write_model
from ml.training.modules import network_for
from ml.training.networks import stack_weights
from ml.training.orders import Schedule, Trainee
from ml.training.recipe import Recipe
from ml.training.scores import Progress, model_keys, train_coalitions
from ml.training.stack import Snapshot, Stack, gathered

__all__ = ["RewardError", "RewardModel", "train_rewards"]


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


@dataclass(frozen=True)
class Candidate:
    """A model that a reward may be, with how it was made."""

    model: Scored
    made: str


@dataclass(frozen=True)
class Quest:
    """One party's way to its target: where it starts, and a model at or above the target."""

    party: int
    target: float
    start: Scored
    above: Scored


class Workshop:
    """What all rewards of a round share: data and judge on the device, recipe, tolerance."""

    def __init__(self, collaboration: Collaboration, recipe: Recipe) -> None:
        self.device = choose_device(recipe.device)
        self.recipe = recipe
        self.network = network_for(recipe, collaboration)
        self.score_of = score_function(recipe, collaboration)
        self.judge = Judge.on(self.network, self.score_of, collaboration.validation, self.device)
        self.one_sample = 1 / len(collaboration.validation)
        self.features = to_device(collaboration.train.features, self.device)
        self.targets = to_device(collaboration.train.targets, self.device)

    def step(self, stack: Stack, schedule: Schedule, at: int) -> None:
        """One step of all models of the stack."""
        rows, shares = schedule.batch(at, len(stack))
        stack.step(gathered(self.features, rows), gathered(self.targets, rows), shares)


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
        If a target is not between the party's own score and the grand one, with the numbers.
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
        for quest, candidate in _pursue(workshop, quests, collaboration.coalition_indices(grand)):
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
    store, half = ModelCache(cache), workshop.one_sample / 2 + 1e-9

    def models(coalition: int) -> list[Scored]:
        found = []
        for key in model_keys(collaboration, workshop.recipe, coalition):
            model = store.get(key)
            if model is None:
                raise BrokenInvariant(f"Model {key} vanished from {cache} while it was in use.")
            weights = {name: t.to(workshop.device) for name, t in model.weights.items()}
            found.append(Scored(weights, model.score))
        return found

    grand_models = models(grand)
    ready: dict[int, Candidate] = {}
    quests: list[Quest] = []
    for party, target in enumerate(map(float, targets)):
        own_models = models(1 << party)
        own = float(np.mean([model.score for model in own_models]))
        top = float(np.mean([model.score for model in grand_models]))
        if not own - half <= target <= top + half:
            name = collaboration.party_names[party]
            raise RewardError(
                f'Party {party} ("{name}") has target {target:.6f}; expected from its own score '
                f"{own:.6f} to the grand score {top:.6f}."
            )
        nearest_grand = min(grand_models, key=lambda model: abs(model.score - target))
        nearest_own = min(own_models, key=lambda model: abs(model.score - target))
        if abs(nearest_grand.score - target) <= half:
            ready[party] = Candidate(nearest_grand, "the grand model itself")
        elif abs(nearest_own.score - target) <= half:
            ready[party] = Candidate(nearest_own, "the party's own model itself")
        else:
            start = max((m for m in own_models if m.score < target), key=lambda m: m.score)
            above = min((m for m in grand_models if m.score >= target), key=lambda m: m.score)
            quests.append(Quest(party, target, start, above))
    return ready, quests


def _pursue(
    workshop: Workshop, quests: list[Quest], rows: NDArray[Any]
) -> Sequence[tuple[Quest, Candidate]]:
    """Train all quests in one stack; each is finished as soon as its target is bracketed."""
    found: list[tuple[Quest, Candidate]] = []
    if not quests:
        return found
    recipe = workshop.recipe
    trainees = [
        Trainee.for_epochs(rows, recipe.epochs, recipe.batch_size, f"reward/{quest.party}")
        for quest in quests
    ]
    schedule = Schedule(trainees, recipe.batch_size, workshop.device)
    weights = stack_weights([quest.start.weights for quest in quests])
    stack = Stack(workshop.network, weights, recipe.learning_rate)
    open_quests = dict(enumerate(quests))
    before = {slot: stack.snapshot(slot) for slot in open_quests}
    best = {slot: quest.start for slot, quest in open_quests.items()}
    n_steps = trainees[0].n_steps
    while open_quests and stack.step_count < n_steps:
        # Scores move fast at first: look often then.
        pause = min(n_steps, stack.step_count + (10 if stack.step_count < 500 else 50))
        while stack.step_count < pause:
            workshop.step(stack, schedule, stack.step_count)
        for slot, quest in list(open_quests.items()):
            now = Scored(stack.model(slot), 0.0)
            now = Scored(now.weights, workshop.judge.score(now.weights))
            if now.score < quest.target:
                before[slot] = stack.snapshot(slot)
                best[slot] = max(best[slot], now, key=lambda model: model.score)
                continue
            solo = Schedule([trainees[slot]], recipe.batch_size, workshop.device, window_steps=64)
            found.append((quest, _replay(workshop, quest, before[slot], solo, pause)))
            del open_quests[slot]
    for slot, quest in open_quests.items():
        tolerance, score = workshop.one_sample / 2, workshop.judge.score
        model = bisect_weights(best[slot], quest.above, quest.target, tolerance, score)
        made = f"on the line from its best of {n_steps} steps to the grand model"
        found.append((quest, Candidate(model, made)))
    return found


def _replay(
    workshop: Workshop, quest: Quest, snapshot: Snapshot, schedule: Schedule, until: int
) -> Candidate:
    """Go step by step from a snapshot below the target, then bisect the step that crosses it."""
    stack = Stack(
        workshop.network,
        snapshot.weights,
        workshop.recipe.learning_rate,
        snapshot.moments,
        snapshot.step,
    )
    tolerance, score = workshop.one_sample / 2, workshop.judge.score
    weights = stack.model(0)
    below = Scored(weights, score(weights))
    while True:
        workshop.step(stack, schedule, stack.step_count)
        weights = stack.model(0)
        now = Scored(weights, score(weights))
        if now.score >= quest.target:
            made = f"its own model, trained for {stack.step_count} steps on the grand data"
            model = bisect_weights(below, now, quest.target, tolerance, score)
            return Candidate(model, made)
        if stack.step_count >= until:
            # Alone a model rounds otherwise than in the stack; the grand model is still above.
            model = bisect_weights(now, quest.above, quest.target, tolerance, score)
            return Candidate(model, f"on the line from {until} steps to the grand model")
        below = now


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
    rewards = []
    for party, target in enumerate(map(float, targets)):
        candidate = finalists[party]
        weights, name = candidate.model.weights, collaboration.party_names[party]
        score = workshop.judge.score(weights)
        if abs(score - target) > workshop.one_sample + 1e-9:
            raise RewardError(
                f'The reward of party {party} ("{name}") scores {score:.6f}; expected '
                f"{target:.6f} to within one validation sample ({workshop.one_sample:.6f}). Equal "
                "validation samples change together: take them out or add others."
            )
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
