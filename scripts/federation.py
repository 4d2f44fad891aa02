"""A small federation in Flower's simulation: digits on four nodes, averaged by FedAvg.

    fairround run DIR --allow-command "python federation.py"

A round names it as `external.command`; it answers what each coalition's model scores. It wants
`fairround[flower]`. Checkpoints of all parties' training are kept in `checkpoints/`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from ml.engines.answering import answers_alone
from ml.engines.flower import says_who, serve, train_coalition

PARTIES = ("north", "east", "south", "west")
LABELS = ((0, 1, 2), (3, 4), (5, 6, 7), (8, 9))
ROUNDS, STEPS, RATE = 4, 20, 0.5


def digits(part: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels: part 0 to 3 is a party's, 4 the validation set."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, held_out = images / 16.0, np.arange(len(labels)) % 3 == 0
    chosen = held_out if part == 4 else ~held_out & np.isin(labels, LABELS[part])
    return images[chosen], labels[chosen]


def probabilities(weights: np.ndarray, bias: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Of each digit, by softmax regression."""
    logits = images @ weights + bias
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


client = says_who(ClientApp())


@client.train()
def train(message: Message, context: Context) -> Message:
    """A few steps of gradient descent on the node's own images."""
    images, labels = digits(int(context.node_config["partition-id"]))
    weights, bias = message.content["arrays"].to_numpy_ndarrays()
    for _ in range(STEPS):
        error = probabilities(weights, bias, images) - np.eye(10)[labels]
        weights = weights - RATE * images.T @ error / len(labels)
        bias = bias - RATE * error.mean(axis=0)
    told = MetricRecord({"num-examples": len(labels)})
    content = RecordDict({"arrays": ArrayRecord([weights, bias]), "metrics": told})
    return Message(content, reply_to=message)


def main() -> None:
    """Answer questions from standard input, one coalition after the other."""
    answers = answers_alone()
    images, labels = digits(4)
    server = ServerApp()

    def score(arrays: list[np.ndarray]) -> float:
        return float((probabilities(*arrays, images).argmax(axis=1) == labels).mean())

    def measure(grid: Grid, members: tuple[str, ...], seed: int) -> dict[str, Any]:
        strategy = FedAvg(
            fraction_evaluate=0.0,
            min_train_nodes=len(members),
            min_available_nodes=len(members),
        )
        start = np.random.default_rng(seed).normal(0, 0.01, (64, 10))
        keep = Path("checkpoints") if len(members) == len(PARTIES) else None
        return train_coalition(strategy, grid, [start, np.zeros(10)], ROUNDS, score, keep)

    @server.main()
    def answer(grid: Grid, context: Context) -> None:
        serve(grid, PARTIES, measure, sys.stdin, answers)

    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    run_simulation(server, client, len(PARTIES), backend_config=resources)


if __name__ == "__main__":
    main()
