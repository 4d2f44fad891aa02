"""Training a model until its validation score meets a target.

The score is checked every few steps. When it has passed the target, the last few steps are repeated
one by one from a snapshot, and the weights before and after the step that crosses the target are
bisected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ml.datasets.collaboration import Collaboration
from ml.training.checks import network_for
from ml.training.devices import choose_device, to_device
from ml.training.models.networks import stack_weights
from ml.training.recipe import Recipe
from ml.training.rewards.brackets import Scored, bisect_weights
from ml.training.scores import Evaluator, score_function
from ml.training.stack.orders import Schedule, Trainee
from ml.training.stack.stack import Snapshot, Stack, gathered

__all__ = ["Candidate", "RewardContext", "TargetTask", "train_to_targets"]


@dataclass(frozen=True)
class Candidate:
    """A model that may become a reward, and in words how it was made."""

    model: Scored
    made: str


@dataclass(frozen=True)
class TargetTask:
    """One party's target, the model that training starts from, and one at or above the target.

    ``origin`` says in words whose model the first one is.
    """

    party: int
    target: float
    origin: str
    start: Scored
    above: Scored


class RewardContext:
    """What all rewards of a round share: data on the device, recipe, network, evaluator."""

    def __init__(self, collaboration: Collaboration, recipe: Recipe) -> None:
        self.device = choose_device(recipe.device)
        self.recipe = recipe
        self.network = network_for(recipe, collaboration)
        self.score_of = score_function(recipe, collaboration)
        self.evaluator = Evaluator.on(
            self.network, self.score_of, collaboration.validation, self.device
        )
        self.one_sample = 1 / len(collaboration.validation)
        self.features = to_device(collaboration.train.features, self.device)
        self.targets = to_device(collaboration.train.targets, self.device)

    def step(self, stack: Stack, schedule: Schedule, at: int) -> None:
        """One step of all models of the stack."""
        rows, shares = schedule.batch(at, len(stack))
        stack.step(gathered(self.features, rows), gathered(self.targets, rows), shares)


def train_to_targets(
    context: RewardContext, tasks: list[TargetTask], rows: NDArray[Any]
) -> Sequence[tuple[TargetTask, Candidate]]:
    """Train the models of all tasks in one stack until each has met its target.

    A target that is not met within the recipe's epochs is met on the straight line from the best
    model so far to the one above.
    """
    found: list[tuple[TargetTask, Candidate]] = []
    if not tasks:
        return found
    recipe = context.recipe
    trainees = [
        Trainee.for_epochs(rows, recipe.epochs, recipe.batch_size, f"reward/{task.party}")
        for task in tasks
    ]
    schedule = Schedule(trainees, recipe.batch_size, context.device)
    weights = stack_weights([task.start.weights for task in tasks])
    stack = Stack(context.network, weights, recipe.learning_rate)
    open_tasks = dict(enumerate(tasks))
    before = {slot: stack.snapshot(slot) for slot in open_tasks}
    best = {slot: task.start for slot, task in open_tasks.items()}
    n_steps = trainees[0].n_steps
    while open_tasks and stack.step_count < n_steps:
        # Scores move fast at first: look often then.
        pause = min(n_steps, stack.step_count + (10 if stack.step_count < 500 else 50))
        while stack.step_count < pause:
            context.step(stack, schedule, stack.step_count)
        for slot, task in list(open_tasks.items()):
            now = Scored(stack.model(slot), 0.0)
            now = Scored(now.weights, context.evaluator.score(now.weights))
            if now.score < task.target:
                before[slot] = stack.snapshot(slot)
                best[slot] = max(best[slot], now, key=lambda model: model.score)
                continue
            solo = Schedule([trainees[slot]], recipe.batch_size, context.device, window_steps=64)
            found.append((task, _replay(context, task, before[slot], solo, pause)))
            del open_tasks[slot]
    for slot, task in open_tasks.items():
        tolerance, score = context.one_sample / 2, context.evaluator.score
        model = bisect_weights(best[slot], task.above, task.target, tolerance, score)
        made = f"on the line from its best of {n_steps} steps to the grand model"
        found.append((task, Candidate(model, made)))
    return found


def _replay(
    context: RewardContext, task: TargetTask, snapshot: Snapshot, schedule: Schedule, until: int
) -> Candidate:
    """Repeat steps from a snapshot below the target, then bisect the step that crosses it."""
    stack = Stack(
        context.network,
        snapshot.weights,
        context.recipe.learning_rate,
        snapshot.moments,
        snapshot.step,
    )
    tolerance, score = context.one_sample / 2, context.evaluator.score
    weights = stack.model(0)
    below = Scored(weights, score(weights))
    while True:
        context.step(stack, schedule, stack.step_count)
        weights = stack.model(0)
        now = Scored(weights, score(weights))
        if now.score >= task.target:
            made = f"{task.origin}, trained for {stack.step_count} steps on the grand data"
            model = bisect_weights(below, now, task.target, tolerance, score)
            return Candidate(model, made)
        if stack.step_count >= until:
            # Alone, a model rounds differently from the stack and may stay below the target.
            model = bisect_weights(now, task.above, task.target, tolerance, score)
            return Candidate(model, f"on the line from {until} steps to the grand model")
        below = now
