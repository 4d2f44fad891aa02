"""Checks before any training: the network runs on a few samples, a user's score on all."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from ml.datasets.collaboration import Collaboration
from ml.training.models.modules import ModuleNetwork, NetworkError, build_network
from ml.training.models.networks import Network, stack_weights
from ml.training.recipe import Recipe
from ml.training.scores import Evaluator, ScoreError, ScoreFunction, score_function

__all__ = ["check_training", "network_for", "scores_without_training", "untrained_score"]

log = logging.getLogger(__name__)

CHECKED_SAMPLES = 3
"""How many samples a network is run on before it is trained."""

SURE = 20.0
"""Output of the right class, all others 0, where a classifier is sure."""


def check_training(collaboration: Collaboration, recipe: Recipe) -> Network:
    """The recipe's network, after checking that it and the score fit the data.

    Raises
    ------
    NetworkError, ScoreError
        If they do not. Nothing has been trained then.
    """
    network = network_for(recipe, collaboration)
    score_of = score_function(recipe, collaboration)
    if ":" in recipe.score:
        evaluator = Evaluator.on(network, score_of, collaboration.validation, torch.device("cpu"))
        outputs = evaluator.outputs(network.initial(0))
        first, again = (score_of(outputs, evaluator.targets) for _ in range(2))
        if first != again:
            raise ScoreError(
                f"{recipe.score} gave {first!r} and then {again!r} for the same outputs; expected "
                "one score. Leave chance out of it."
            )
        _check_direction(recipe.score, score_of, evaluator.targets, collaboration.n_classes)
    return network


def _check_direction(name: str, score_of: ScoreFunction, targets: Tensor, n_classes: int) -> None:
    """Compare the score of outputs that are right with that of outputs that say nothing."""
    right = _sure_outputs(targets, n_classes)
    best, nothing = score_of(right, targets), score_of(torch.zeros_like(right), targets)
    if best <= nothing:
        raise ScoreError(
            f"{name} gives {best:g} where every output is right and {nothing:g} where all outputs "
            "are 0; expected more for what is right. If less is better, return 1 - error, or "
            "1 / (1 + error)."
        )


def scores_without_training(collaboration: Collaboration, recipe: Recipe) -> tuple[float, float]:
    """Scores of what anybody can say without a model, and of the labels themselves.

    The first says the same of every sample: the commonest class of the training samples, or their
    mean. A trained score between the two is what data are worth; one near the first is worth
    nothing.
    """
    score_of = score_function(recipe, collaboration)
    known = torch.from_numpy(collaboration.train.targets)
    targets = torch.from_numpy(collaboration.validation.targets)
    n_classes = collaboration.n_classes
    same = torch.bincount(known).argmax() if n_classes else known.float().mean()
    constant = same.to(targets.dtype).expand_as(targets)
    nothing, right = (
        score_of(_sure_outputs(said, n_classes), targets) for said in (constant, targets)
    )
    return nothing, right


def untrained_score(collaboration: Collaboration, recipe: Recipe) -> float:
    """Score of the network before any training, on the processor; of several seeds the least.

    A buyer has no model of its own. If it buys any it gets no less than this one, which anybody
    can make without data.
    """
    network = build_network(recipe, collaboration.preparation)
    evaluator = Evaluator.on(
        network,
        score_function(recipe, collaboration),
        collaboration.validation,
        torch.device("cpu"),
    )
    return min(evaluator.score(network.initial(seed)) for seed in recipe.seeds)


def _sure_outputs(targets: Tensor, n_classes: int) -> Tensor:
    """Outputs of a model that is sure of these targets."""
    if n_classes:
        return SURE * torch.nn.functional.one_hot(targets, n_classes).float()
    return targets.unsqueeze(1).float()


def network_for(recipe: Recipe, collaboration: Collaboration) -> Network:
    """The recipe's network for this data, after running it on a few samples.

    Raises
    ------
    NetworkError
        If the network does not fit the data, or an import path leads to no module.
    """
    network = build_network(recipe, collaboration.preparation)
    samples = collaboration.train
    rows = torch.arange(CHECKED_SAMPLES) % len(samples)
    features, targets = (torch.from_numpy(a[rows]) for a in (samples.features, samples.targets))
    expected = (1, len(rows), max(collaboration.n_classes, 1))
    try:
        with torch.random.fork_rng(devices=[]):
            weights = stack_weights([network.initial(0)])
            with torch.no_grad():
                found = tuple(network.outputs(weights, features.unsqueeze(0)).shape)
            if found == expected:
                _check_gradients(network, features, targets)
    except Exception as trouble:  # whatever the user's code raises is about the user's code
        shape = tuple(features.shape[1:])
        raise NetworkError(
            f"{recipe.network} cannot be trained on samples of shape {shape}: {trouble!r}."
        ) from trouble
    if found != expected:
        raise NetworkError(
            f"{recipe.network} gives outputs of shape {found[1:]} for {len(rows)} samples; "
            f"expected {expected[1:]}."
        )
    return network


def _check_gradients(network: Network, features: Tensor, targets: Tensor) -> None:
    """Compute one gradient of a single model and of a pair of models.

    A user's module that `torch.vmap` cannot run in a pair is marked to run one model at a time.
    """

    def step(n_models: int) -> None:
        weights = stack_weights([network.initial(0)] * n_models)
        gradients = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
        inputs, truth = (torch.stack([part] * n_models) for part in (features, targets))
        network.gradients(weights, inputs, truth, torch.ones(truth.shape), gradients)

    step(1)
    try:
        step(2)
    except Exception as trouble:
        if not isinstance(network, ModuleNetwork):
            raise
        log.debug("vmap cannot run the module, so models run one at a time: %r", trouble)
        network.one_by_one = True
        step(2)
