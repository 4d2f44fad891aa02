#!/usr/bin/env python3
"""Measure the stacked trainer beside a plain loop, on the five-party MNIST round of the paper.

    python scripts/bench/training.py [--json] [--parties 5] [--rounds 7] [--threads 1]

Everything is measured in one run, interleaved: some steps of the stack, some of the loop, again and
again; the ratio is of the time for one step of one model. ``--whole`` also trains everything to the
end, scores it and keeps it, as a round does. A CUDA device is measured beside the CPU if there is
one (``--device cuda`` measures it alone: the whole of ten parties takes a CPU minutes).
The floor is what the arithmetic and the memory traffic of a step cost at the speed that this
machine reaches in one large matrix product and one large copy, measured in the same run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from ml.datasets import data_spec, load
from ml.datasets.collaboration import Collaboration
from ml.training import recipe, train_coalitions
from ml.training.checks import network_for
from ml.training.devices import to_device
from ml.training.models.networks import Mlp, stack_weights
from ml.training.models.used_columns import UsedColumns
from ml.training.reference import linear_layers, train_one
from ml.training.stack.footprint import layout_size
from ml.training.stack.graphs import Stepper
from ml.training.stack.orders import Schedule, Trainee
from ml.training.stack.stack import Stack

PAPER = [[0], [1, 2], [0, 1, 2, 3], [3, 4, 5], [6, 7, 8, 9]]


def data_for(n_parties: int) -> Collaboration:
    """MNIST among the paper's five parties, or in equal shares among another number."""
    if n_parties == len(PAPER):
        parties = [{"labels": labels} for labels in PAPER]
        return load(data_spec({"source": "mnist", "overlap": "concat"}, parties))
    shares = [{"share": 1 / n_parties} for _ in range(n_parties)]
    return load(data_spec({"source": "mnist", "split": "shares"}, shares))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()


class Bench:
    """One device's measurement of a collaboration's 2^n - 1 models."""

    def __init__(self, data: Collaboration, device: torch.device) -> None:
        self.plan = recipe({"device": device.type})
        self.data = data
        self.device = device
        network = network_for(self.plan, data)
        if not isinstance(network, Mlp):
            raise TypeError("The benchmark is about the MLP.")
        self.network = network
        coalitions = range(1, data.grand_coalition + 1)
        self.trainees = sorted(
            (
                Trainee.for_epochs(
                    data.coalition_indices(c), self.plan.epochs, self.plan.batch_size, f"0/{c}"
                )
                for c in coalitions
            ),
            key=lambda trainee: -trainee.n_steps,
        )
        self.features = to_device(data.train.features, device)
        self.targets = to_device(data.train.targets, device)
        self.initial = network.initial(0)
        self.chunk = self.trainees[: layout_size(network, self.plan, data, device.type)]
        self.used = UsedColumns.of(network, self.features)

    @property
    def all_steps(self) -> int:
        """Steps of all models, all epochs."""
        return sum(trainee.n_steps for trainee in self.trainees)

    def start(self, n_models: int) -> dict[str, torch.Tensor]:
        """Initial weights of a stack on the device."""
        stack = stack_weights([self.initial] * n_models)
        return self.used.reduced({k: t.to(self.device) for k, t in stack.items()})

    def stacked(self) -> tuple[Stepper, Schedule]:
        """A stack of the longest models, ready to step."""
        stack = Stack(self.used.network, self.start(len(self.chunk)), self.plan.learning_rate)
        stepper = Stepper(stack, self.used.features, self.targets)
        return stepper, Schedule(self.chunk, self.plan.batch_size, self.device)

    def plain_loop(self, n_steps: int) -> float:
        """Seconds a step of the sequential trainer."""
        model = linear_layers(self.network, self.initial).to(self.device)
        trainee = Trainee(self.trainees[0].rows, n_steps, "loop")
        synchronise(self.device)
        begin = time.perf_counter()
        train_one(
            model,
            trainee,
            self.features,
            self.targets,
            batch_size=self.plan.batch_size,
            learning_rate=self.plan.learning_rate,
        )
        synchronise(self.device)
        return (time.perf_counter() - begin) / n_steps

    def floor_s(self) -> float:
        """Seconds of one model's step if only its arithmetic and its memory traffic counted."""
        widths = self.used.network.widths  # type: ignore[attr-defined]
        batch = self.plan.batch_size
        layers = list(itertools.pairwise(widths))
        products = [2 * batch * a * b for a, b in layers]
        operations = 2 * sum(products) + sum(
            products[1:]
        )  # the first layer needs no input gradient
        n_weights = sum(a * b + b for a, b in layers)
        # Adam reads weight, gradient and two moments and writes three of them; inputs come once.
        traffic = 7 * 4 * n_weights + batch * widths[0] * (1 + 4)
        # Large enough that starting them does not count, and the copy beyond any cache.
        size, n_words = (1024, 2**24) if self.device.type == "cpu" else (8192, 2**28)
        square = torch.rand(size, size, device=self.device)
        product_s = best_of(lambda: square @ square, self.device)
        words = torch.rand(n_words, device=self.device)
        target = torch.empty_like(words)
        copy_s = best_of(lambda: target.copy_(words), self.device)
        speed, bandwidth = 2 * size**3 / product_s, 2 * words.nbytes / copy_s
        return float(operations / speed + traffic / bandwidth)


def best_of(action: object, device: torch.device, repeats: int = 7) -> float:
    """Least seconds of several goes."""
    found = []
    for _ in range(repeats):
        synchronise(device)
        begin = time.perf_counter()
        action()  # type: ignore[operator]
        synchronise(device)
        found.append(time.perf_counter() - begin)
    return min(found[1:])


def measure(bench: Bench, rounds: int, steps: int) -> dict[str, object]:
    """Interleaved steps of stack and loop: seconds for one step of one model, and their ratio."""
    stepper, schedule = bench.stacked()
    n_models, at = len(bench.chunk), 0
    for _ in range(5):
        stepper.step(*schedule.batch(at, n_models))
        at += 1
    bench.plain_loop(50)
    stacked, plain, cpu_ratios = [], [], []
    for _ in range(rounds):
        synchronise(bench.device)
        begin, cpu_begin = time.perf_counter(), time.process_time()
        for _ in range(steps):
            stepper.step(*schedule.batch(at, n_models))
            at += 1
        synchronise(bench.device)
        stacked.append((time.perf_counter() - begin) / steps / n_models)
        cpu_stacked = (time.process_time() - cpu_begin) / steps / n_models
        n_plain = max(50, steps * n_models // 4)
        cpu_begin = time.process_time()
        plain.append(bench.plain_loop(n_plain))
        cpu_ratios.append((time.process_time() - cpu_begin) / n_plain / cpu_stacked)
    ratios = [b / a for a, b in zip(stacked, plain, strict=True)]
    floor = bench.floor_s()
    step_s = statistics.median(stacked)
    return {
        "device": bench.device.type,
        "models": len(bench.trainees),
        "stack": n_models,
        "stacked_step_us": step_s * 1e6,
        "sequential_step_us": statistics.median(plain) * 1e6,
        "ratio": statistics.median(ratios),
        "ratio_of_best": min(plain) / min(stacked),
        # Of processor time: what other processes take of the machine does not enter.
        "ratio_of_cpu_time": statistics.median(cpu_ratios),
        "model_steps_per_s": 1 / step_s,
        "floor_step_us": floor * 1e6,
        "times_the_floor": step_s / floor,
        "all_steps": bench.all_steps,
        "whole_estimate_s": bench.all_steps * step_s,
        "whole_floor_s": bench.all_steps * floor,
    }


def whole(bench: Bench, sequential: bool) -> dict[str, object]:
    """Train everything to the end, as a round does and (if asked) one after the other."""
    coalitions = range(1, bench.data.grand_coalition + 1)
    with tempfile.TemporaryDirectory() as cache:
        begin = time.perf_counter()
        train_coalitions(bench.data, bench.plan, coalitions, cache=Path(cache))
        found: dict[str, object] = {"whole_stacked_s": time.perf_counter() - begin}
    if sequential:
        begin = time.perf_counter()
        for trainee in bench.trainees:
            train_one(
                linear_layers(bench.network, bench.initial).to(bench.device),
                trainee,
                bench.features,
                bench.targets,
                batch_size=bench.plan.batch_size,
                learning_rate=bench.plan.learning_rate,
            )
        synchronise(bench.device)
        found["whole_sequential_s"] = time.perf_counter() - begin
        found["whole_ratio"] = found["whole_sequential_s"] / found["whole_stacked_s"]  # type: ignore[operator]
    return found


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--parties", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default=None)
    parser.add_argument("--whole", choices=["stacked", "both"], default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = data_for(arguments.parties)
    names = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if arguments.device:
        names = [name for name in names if name == arguments.device]
    if not names:
        parser.error("no CUDA device was found")
    measured = []
    for device in map(torch.device, names):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        bench = Bench(data, device)
        row = measure(bench, arguments.rounds, arguments.steps)
        if arguments.whole:
            row |= whole(bench, arguments.whole == "both")
        if device.type == "cuda":
            row["peak_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
        else:
            row["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        measured.append(row)
    result = {
        "parties": arguments.parties,
        "threads": arguments.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": processor(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "not run: no device",
        "measured": measured,
    }
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{result['processor']}, {arguments.threads} thread(s), torch {torch.__version__}")
    print(f"CUDA: {result['cuda']}")
    for row in measured:
        for key, value in row.items():
            print(f"  {key:20} {value:.4g}" if isinstance(value, float) else f"  {key:20} {value}")


if __name__ == "__main__":
    main()
