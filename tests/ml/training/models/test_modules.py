"""Modules and scores of all kinds train; what does not fit is named before any training."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.datasets import data_spec, load
from ml.datasets.collaboration import Collaboration, Samples
from ml.datasets.preparation import Preparation
from ml.errors import MlError
from ml.training import check_training, recipe, train_coalitions, train_rewards
from ml.training.checks import network_for
from ml.training.models.modules import ModuleNetwork, small_cnn
from ml.training.models.networks import TextAverage, stack_weights
from ml.training.reference import train_one
from ml.training.scores import accuracy, r2
from ml.training.stack.chunks import DeviceMemoryError
from ml.training.stack.footprint import STACK_BYTES_ON_CUDA, bytes_per_model, layout_size
from ml.training.stack.orders import Trainee
from ml.training.stack.trainer import train_stack

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope="module")
def small():
    parties = [{"labels": [0, 1, 2, 3, 4], "size": 60}, {"labels": [5, 6, 7, 8, 9], "size": 60}]
    return load(data_spec({"source": "digits"}, parties))


def figures(n_classes=0):
    """Two parties whose samples show one half each of a smooth function."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(400, 3)).astype(np.float32)
    targets = (features @ [1.0, -2.0, 0.5] + np.sin(features[:, 0])).astype(np.float32)
    rows = np.arange(200)
    held = (rows[features[:200, 0] < 0], rows[features[:200, 0] >= 0])
    sets = [Samples(features[a:b], targets[a:b]) for a, b in ((0, 200), (200, 300), (300, 400))]
    preparation = Preparation.of(features, targets, (), ())
    return Collaboration(("low", "high"), *sets, held, 0, preparation)


def test_a_stack_of_cnns_equals_the_module_alone(small):
    network = network_for(recipe({"network": "cnn", "channels": [4], "hidden": [8]}), small)
    features = torch.from_numpy(small.train.features)
    targets = torch.from_numpy(small.train.targets)
    trainees = [Trainee.for_epochs(small.coalition_indices(c), 2, 16, str(c)) for c in (3, 1, 2)]
    initial = network.initial(0)
    options = {"batch_size": 16, "learning_rate": 1e-3}
    stack = stack_weights([initial] * 3)
    for advance in train_stack(network, stack, trainees, features, targets, **options):
        for index, weights in advance.finished:
            module = small_cnn((8, 8), (4,), (8,), 10)
            module.load_state_dict(initial)
            images = features.unsqueeze(1)
            train_one(module, trainees[index], images, targets, **options)
            for name, tensor in module.named_parameters():
                torch.testing.assert_close(weights[name], tensor.detach(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("network", ["cnn", "user_code:Tiny"])
def test_images_are_learnt_by_any_module(small, tmp_path, network):
    table = {"network": network, "epochs": 15, "batch_size": 16, "learning_rate": 1e-2}
    table |= {"channels": [4], "hidden": []} if network == "cnn" else {"arguments": {"width": 6}}
    scores = train_coalitions(small, recipe(table), [1, 2, 3], cache=tmp_path).means
    assert scores[2] > 0.7
    assert scores[:2].max() <= 0.52
    rewards = train_rewards(
        small, recipe(table), (scores[:2] + scores[2]) / 2, tmp_path / "out", cache=tmp_path
    )
    for reward in rewards:
        assert abs(reward.validation_score - reward.target) <= 1 / len(small.validation) + 1e-9


def test_a_module_that_no_vmap_can_run_is_trained_and_rewarded_one_by_one(small, tmp_path):
    table = {"network": "user_code:Recurrent", "epochs": 15, "batch_size": 16}
    plan = recipe(table | {"learning_rate": 1e-2, "stack_size": 3})
    assert network_for(plan, small).one_by_one
    scores = train_coalitions(small, plan, [1, 2, 3], cache=tmp_path).means
    assert scores[2] > scores[:2].max()
    targets = (scores[:2] + scores[2]) / 2
    for reward in train_rewards(small, plan, targets, tmp_path / "out", cache=tmp_path):
        assert abs(reward.validation_score - reward.target) <= 1 / len(small.validation) + 1e-9


def test_regression_scores_and_rewards_are_r2(tmp_path):
    data = figures()
    plan = recipe({"epochs": 30, "batch_size": 16, "learning_rate": 3e-3, "hidden": [16]})
    scores = train_coalitions(data, plan, [1, 2, 3], cache=tmp_path).means
    assert scores[2] > 0.9
    assert scores[2] > scores[:2].max()
    targets = (scores[:2] + scores[2]) / 2
    for reward in train_rewards(data, plan, targets, tmp_path / "out", cache=tmp_path):
        assert abs(reward.validation_score - reward.target) <= 1 / len(data.validation)


def test_r2_is_clipped_and_accuracy_counts():
    truth = torch.tensor([0.0, 1.0, 2.0])
    assert r2(truth[:, None], truth) == 1
    assert r2(-5 * truth[:, None], truth) == 0
    assert r2(torch.full((3, 1), 1.0), truth) == 0
    assert r2(truth[:, None], torch.ones(3)) == 0
    assert accuracy(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])) == 0.5


def test_a_users_score_replaces_accuracy(small, tmp_path):
    plain = recipe({"epochs": 10, "batch_size": 16})
    own = recipe({"epochs": 10, "batch_size": 16, "score": "user_code:top_two"})
    first = train_coalitions(small, plain, [3], cache=tmp_path).means[0]
    assert train_coalitions(small, own, [3], cache=tmp_path).means[0] > first


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"network": "user_code:not_a_module"}, "is a function; expected a class that inherits"),
        ({"network": "user_code:np"}, "is a module; expected a class that inherits"),
        ({"network": "user_code:JustAClass"}, "is a JustAClass; expected a class that inherits"),
        ({"network": "user_code:Nothing"}, "cannot be imported"),
        ({"network": "no_such_module:Net"}, "cannot be imported"),
        ({"network": "user_code:Raises"}, "no weights today"),
        ({"network": "user_code:Normed"}, "use GroupNorm"),
        ({"network": "user_code:WrongWidth"}, r"gives outputs of shape \(3, 3\)"),
        ({"network": "user_code:Detached"}, "cannot be trained on .* does not require grad"),
        ({"network": "user_code:Pair"}, r"cannot be trained on .* got tuple"),
        ({"network": "user_code:FailsInTraining"}, "cannot be trained on .*not while training"),
        ({"network": "user_code:Lazy"}, "cannot be trained on .* uninitialized parameter"),
        ({"network": "user_code:Doubled"}, r"parameters of torch.float64; expected torch.float32"),
        ({"network": "user_code:Empty"}, "has no parameters to train"),
        ({"network": "text"}, 'Network "text" does not fit samples'),
        ({"network": "cnn", "channels": [4, 4, 4, 4]}, "too small to be halved 4 times"),
        ({"score": "r2"}, 'Score "r2" does not fit targets that are classes'),
        (
            {"score": "user_code:np"},
            "is a module; expected a function that is written",
        ),
        (
            {"score": "user_code:run"},
            "is a function; expected a function that is written",
        ),
        ({"score": "user_code:two"}, r"gave 2.0; expected a number in \[0, 1\]"),
        ({"score": "user_code:nothing"}, r"gave nan; expected a number in \[0, 1\]"),
        ({"score": "user_code:broken"}, "failed: LookupError.*no score today"),
        ({"score": "user_code:error_rate"}, "gives 0 where every output is right .*1 - error"),
        ({"score": "user_code:chance"}, "for the same outputs; expected one score"),
    ],
)
def test_what_does_not_fit_is_named_before_any_training(small, table, message):
    with pytest.raises(MlError, match=message):
        check_training(small, recipe(table | {"epochs": 1}))


def test_texts_are_averaged_without_their_padding():
    network = TextAverage(6, 3, (), 2)
    weights = stack_weights([network.initial(0), network.initial(1)])
    texts = torch.tensor([[[1, 5, 0, 0], [2, 2, 2, 2]], [[0, 0, 0, 0], [3, 0, 0, 0]]])
    found = network.outputs(weights, texts.to(torch.int32))
    for model in range(2):
        for row in range(2):
            words = [w for w in texts[model, row].tolist() if w]
            vectors = weights["words"][model][words]
            mean = vectors.mean(dim=0) if words else torch.zeros(3)
            expected = mean @ weights["layer0.weight"][model] + weights["layer0.bias"][model][0]
            torch.testing.assert_close(found[model, row], expected)


def test_initial_weights_of_a_module_leave_torchs_generator_alone():
    network = ModuleNetwork(lambda: small_cnn((8, 8), (2,), (), 3), lambda x: x)
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    first, again = network.initial(7), network.initial(7)
    assert torch.equal(torch.rand(1), before)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_dropout_follows_the_seed_and_leaves_torchs_generator_alone(small, tmp_path):
    plan = recipe({"network": "user_code:Tiny", "epochs": 2, "batch_size": 16})
    torch.manual_seed(1)
    upward = train_coalitions(small, plan, [1, 2, 3], cache=tmp_path / "a").scores
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    downward = [
        train_coalitions(small, plan, [c], cache=tmp_path / "b").scores[0, 0] for c in (3, 2, 1)
    ]
    assert upward[0].tolist() == downward[::-1]
    files = [sorted((tmp_path / folder).rglob("*.safetensors")) for folder in "ab"]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_a_stack_without_room_says_what_to_set(small, tmp_path):
    plan = recipe({"network": "user_code:Greedy", "stack_size": 2})
    with pytest.raises(DeviceMemoryError, match=r"stack of 2 models.*training.stack_size below 2"):
        train_coalitions(small, plan, [1, 2], cache=tmp_path)


def test_the_layout_for_a_device_fits_a_share_of_its_memory(small):
    plan = recipe({"network": "cnn", "channels": [16], "hidden": [], "batch_size": 64})
    network = network_for(plan, small)
    weights = sum(4 * t.nbytes for t in network.initial(0).values())
    each = bytes_per_model(network, small, 64)
    kept = 64 * (64 + 2 * 16 * 64 + 16 * 16) * 4  # input, convolution, relu, pooling
    assert weights + kept < each < weights + 4 * kept
    assert layout_size(network, plan, small, "cpu") == 1
    assert layout_size(network, plan, small, "cuda") == min(1024, STACK_BYTES_ON_CUDA // each)
    assert layout_size(network, recipe({"stack_size": 7}), small, "cuda") == 7


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_the_scores_and_rewards_of_a_cpu(small, tmp_path):
    plans = [recipe({"device": device, "epochs": 20}) for device in ("cpu", "cuda")]
    folders = [tmp_path / plan.device for plan in plans]
    scores = [
        train_coalitions(small, plan, [1, 2, 3], cache=folder)
        for plan, folder in zip(plans, folders, strict=True)
    ]
    assert [s.device for s in scores] == ["cpu", "cuda"]
    np.testing.assert_allclose(scores[0].scores, scores[1].scores, atol=0.01)
    targets = (scores[1].means[:2] + scores[1].means[2]) / 2
    for reward in train_rewards(small, plans[1], targets, tmp_path / "out", cache=folders[1]):
        assert abs(reward.validation_score - reward.target) <= 1 / len(small.validation) + 1e-9
