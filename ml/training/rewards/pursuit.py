"""From a model below its target to one that meets it: training, replay, bisection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ml.datasets.collaboration import Collaboration
from ml.training.devices import choose_device, to_device
from ml.training.models.networks import stack_weights
from ml.training.recipe import Recipe
from ml.training.rewards.brackets import Scored, bisect_weights
from ml.training.scores import Judge, score_function
from ml.training.stack.orders import Schedule, Trainee
from ml.training.stack.stack import Snapshot, Stack, gathered
from ml.training.trials import network_for

__all__ = ["Candidate", "Quest", "Workshop", "pursue"]


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


def pursue(
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
