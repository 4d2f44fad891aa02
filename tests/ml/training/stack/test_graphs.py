"""What a device records is the step: the same models, no question to the host, bounded memory."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.training.devices import reproducible
from ml.training.models.modules import ModuleNetwork, as_images, small_cnn
from ml.training.models.networks import Mlp, TextAverage, stack_weights
from ml.training.stack.graphs import WARM_UP_STEPS, Stepper
from ml.training.stack.orders import Trainee
from ml.training.stack.stack import Stack
from ml.training.stack.trainer import train_stack

sys.path.insert(0, str(Path(__file__).parent))

from tests.ml.training.stack.tape import TapeRecorder, tensors

#: Two finish within 15 % of the stack, so that a recording carries them along; then it shrinks.
LENGTHS = [90, 90, 90, 90, 90, 90, 90, 60, 20]


def networks():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (90, 8, 8), generator=generator, dtype=torch.uint8)
    words = torch.randint(0, 20, (90, 6), generator=generator, dtype=torch.int32)
    cnn = ModuleNetwork(lambda: small_cnn((8, 8), (4,), (8,), 3), as_images)
    figures = Mlp(64, (8,), 1, regression=True)
    found = {"mlp": (Mlp(64, (8, 8), 3), images), "text": (TextAverage(20, 4, (), 3), words)}
    return found | {"cnn": (cnn, images), "figures": (figures, images.float() / 255)}


def trained(name, recorder=None, device="cpu"):
    network, features = networks()[name]
    features = features.to(device)
    targets = torch.arange(len(features), device=device) % 3
    targets = targets.float() if name == "figures" else targets
    trainees = [
        Trainee.for_epochs(np.arange(length), 3, 8, f"{k}") for k, length in enumerate(LENGTHS)
    ]
    start = stack_weights([network.initial(seed) for seed in range(len(trainees))])
    start = {name: tensor.to(device) for name, tensor in start.items()}
    options = {"batch_size": 8, "learning_rate": 1e-2, "recorder": recorder}
    advances = list(train_stack(network, start, trainees, features, targets, **options))
    assert sum(a.n_steps for a in advances) == sum(t.n_steps for t in trainees)
    return dict(pair for advance in advances for pair in advance.finished)


@pytest.mark.parametrize("name", ["mlp", "text", "cnn", "figures"])
def test_recorded_steps_train_the_models_that_plain_steps_do(name):
    recorder = TapeRecorder()
    recorded, plain = trained(name, recorder), trained(name)
    # 20 samples are 9 steps, 60 are 24 and 90 are 36; the stack shrinks once, from 9 models to 7.
    assert len(recorder.tapes) == 2
    assert recorder.n_warm == 2 * WARM_UP_STEPS
    assert recorder.n_replays == 36 - recorder.n_warm
    for index in range(len(LENGTHS)):
        for tensor_name, tensor in plain[index].items():
            torch.testing.assert_close(recorded[index][tensor_name], tensor, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["mlp", "text", "cnn", "figures"])
def test_a_recorded_step_asks_the_host_nothing_and_stays_on_its_device(name):
    """On the meta device any figure that is asked for, and any tensor made elsewhere, shows."""
    network, features = networks()[name]
    there = torch.device("meta")
    weights = stack_weights([network.initial(0)] * 3)
    stack = Stack(network, {n: t.to(there) for n, t in weights.items()}, 1e-3)
    kind = torch.float32 if name == "figures" else torch.int64
    targets = torch.zeros(90, dtype=kind, device=there)
    recorder = TapeRecorder()
    stepper = Stepper(stack, features.to(there), targets, recorder)
    rows = torch.zeros(3, 8, dtype=torch.int64, device=there)
    for count in range(1, WARM_UP_STEPS + 3):
        stepper.step(rows, torch.ones(3, 8, device=there))
        assert stack.step_count == count
    (tape,) = recorder.tapes
    devices = {t.device.type for _, *trees in tape.operations for t in tensors(trees)}
    assert devices == {"meta"}
    asked = {str(function) for function, *_ in tape.operations}
    assert not asked & {"aten._local_scalar_dense.default", "aten.nonzero.default"}
    assert "aten._fused_adam_.default" in asked


class Refuses(TapeRecorder):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def record(self, work):
        raise self.error


def test_a_step_that_cannot_be_recorded_is_carried_out_as_it_is(caplog):
    with caplog.at_level(logging.WARNING):
        found = trained("mlp", Refuses(RuntimeError("operation not permitted")))
    assert caplog.text.count("cannot be recorded") == 1
    for index, weights in trained("mlp").items():
        for name, tensor in weights.items():
            torch.testing.assert_close(found[index][name], tensor, atol=1e-5, rtol=0)


def test_a_recording_without_memory_ends_the_training():
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        trained("mlp", Refuses(torch.OutOfMemoryError("no room")))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["mlp", "text", "cnn", "figures"])
def test_cuda_graphs_train_the_models_that_a_cpu_does(name, caplog):
    with caplog.at_level(logging.WARNING), reproducible(torch.device("cuda"), 0):
        found = trained(name, device="cuda")
    assert not caplog.text  # in particular not that the step could not be recorded
    for index, weights in trained(name).items():
        for tensor_name, tensor in weights.items():
            there = found[index][tensor_name].cpu()
            torch.testing.assert_close(there, tensor, atol=2e-3, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_frees_the_memory_of_its_recordings():
    trained("mlp", device="cuda")
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    for _ in range(5):
        trained("mlp", device="cuda")
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before
