"""Flower: coalitions of a federation's nodes. The only file that imports it; `fairround[flower]`.

A `CoalitionGrid` shows any strategy the nodes of a coalition and no others, so that the strategy
trains that coalition unchanged. `serve` answers a round's questions from inside a ServerApp, so a
program with a ServerApp is what a round names as `external.command`.

Models stay with the federation. Checkpoints of the grand coalition's rounds are kept there as files
named by their SHA-256, and only hashes and scores are told.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from ml.errors import MlError

__all__ = [
    "CoalitionGrid",
    "FederationError",
    "nodes_of_parties",
    "reward_between",
    "says_who",
    "serve",
    "train_coalition",
]

WHO = "who"

MOST_SEARCH_STEPS = 48
"""Halvings of the line between two checkpoints: more than the digits of a weight."""

Arrays = list[np.ndarray]


class FederationError(MlError):
    """A node that is missing, or that does not belong to the coalition."""


class CoalitionGrid(Grid):
    """A grid that has the nodes of one coalition and no others."""

    def __init__(self, grid: Grid, node_ids: Iterable[int]) -> None:
        self._grid = grid
        self._nodes = frozenset(node_ids)

    def set_run(self, run: Any) -> None:
        """As the whole grid does it."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """That of the whole grid."""
        return self._grid.run

    def create_message(self, *arguments: Any, **options: Any) -> Message:
        """As the whole grid does it."""
        return self._grid.create_message(*arguments, **options)

    def get_node_ids(self) -> Iterable[int]:
        """The coalition's nodes that are there now."""
        return [node for node in self._grid.get_node_ids() if node in self._nodes]

    def get_nodes(self) -> Iterable[Any]:
        """The same, with what the grid knows of them."""
        return [node for node in self._grid.get_nodes() if node.node_id in self._nodes]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages to nodes of the coalition.

        Raises
        ------
        FederationError
            If one is for another node; none is sent then.
        """
        return self._grid.push_messages(self._checked(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As the whole grid does it."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send messages to nodes of the coalition, and wait for replies.

        Raises
        ------
        FederationError
            If one is for another node; none is sent then.
        """
        return self._grid.send_and_receive(self._checked(messages), timeout=timeout)

    def _checked(self, messages: Iterable[Message]) -> list[Message]:
        checked = list(messages)
        for message in checked:
            if (node := message.metadata.dst_node_id) not in self._nodes:
                raise FederationError(f"A message is for node {node}, outside of the coalition.")
        return checked


def says_who(app: ClientApp) -> ClientApp:
    """Let the nodes of an app say which party's data they hold: their ``partition-id``."""

    @app.query(WHO)
    def who(message: Message, context: Context) -> Message:
        found = ConfigRecord({"partition-id": int(context.node_config["partition-id"])})
        return Message(RecordDict({WHO: found}), reply_to=message)

    return app


def nodes_of_parties(grid: Grid, n_parties: int, timeout_s: float = 60.0) -> list[int]:
    """Identity of each party's node, in the order of the parties.

    Raises
    ------
    FederationError
        If some party has no node, or more than one.
    """
    deadline = time.monotonic() + timeout_s
    while len(list(grid.get_node_ids())) < n_parties and time.monotonic() < deadline:
        time.sleep(0.2)  # nodes join when they are ready, some seconds after the server
    questions = [
        Message(RecordDict(), dst_node_id=node, message_type=f"query.{WHO}")
        for node in grid.get_node_ids()
    ]
    found: dict[int, int] = {}
    for reply in grid.send_and_receive(questions, timeout=timeout_s):
        if reply.has_error():
            raise FederationError(
                f"Node {reply.metadata.src_node_id} does not say who it is: {reply.error.reason}. "
                f"Wrap its ClientApp in says_who()."
            )
        party = int(reply.content[WHO]["partition-id"])
        if found.setdefault(party, reply.metadata.src_node_id) != reply.metadata.src_node_id:
            raise FederationError(f"Two nodes say that they are party {party}; expected one each.")
    if sorted(found) != list(range(n_parties)):
        raise FederationError(
            f"Nodes are there for parties {sorted(found)}; expected 0 to {n_parties - 1}."
        )
    return [found[party] for party in range(n_parties)]


def train_coalition(
    strategy: Strategy,
    grid: Grid,
    initial: Arrays,
    n_rounds: int,
    score_of: Callable[[Arrays], float],
    keep: Path | None = None,
) -> dict[str, Any]:
    """Train on the nodes of a grid with any strategy: score and hash of the model.

    Parameters
    ----------
    keep
        Folder where the model after each round is kept, as ``SHA256.npy``; the answer then has all
        of them as checkpoints. None keeps nothing.
    """
    rungs: list[dict[str, Any]] = []

    def after(number: int, record: ArrayRecord) -> MetricRecord:
        arrays = record.to_numpy_ndarrays()
        rungs.append({"score": score_of(arrays), "model_sha256": _kept(arrays, keep)})
        return MetricRecord({"score": rungs[-1]["score"]})

    strategy.start(grid, ArrayRecord(initial), num_rounds=n_rounds, evaluate_fn=after)
    answer = dict(rungs[-1])
    return answer if keep is None else answer | {"checkpoints": rungs}


def serve(
    grid: Grid,
    parties: Sequence[str],
    measure: Callable[[Grid, tuple[str, ...], int], Mapping[str, Any]],
    questions: Iterable[str],
    answers: Any,
) -> None:
    """Answer a round's questions from inside a ServerApp until there are no more.

    ``measure`` is called with the coalition's grid, its members and the seed.
    """
    nodes = dict(zip(parties, nodes_of_parties(grid, len(parties)), strict=True))
    for line in questions:
        question = json.loads(line)
        members = tuple(question["members"])
        coalition = CoalitionGrid(grid, [nodes[name] for name in members])
        answer = dict(measure(coalition, members, question["seed"]))
        print(json.dumps(answer | {"job": question["job"]}), file=answers, flush=True)


def reward_between(
    folder: Path, bracket: Mapping[str, Any], score_of: Callable[[Arrays], float]
) -> tuple[Arrays, float]:
    """The model between two checkpoints whose score is nearest to what a party is entitled to.

    ``bracket`` is one of the round's report; the search halves the straight line between them.

    Raises
    ------
    FederationError
        If a checkpoint's file is missing or is not what its hash says.
    """
    low, high = (_checkpoint(folder, bracket[side]["model_sha256"]) for side in ("below", "above"))
    target = bracket["target_score"]
    best = min(((score_of(a), a) for a in (low, high)), key=lambda found: abs(found[0] - target))
    start, end = 0.0, 1.0
    for _ in range(MOST_SEARCH_STEPS):
        share = (start + end) / 2
        arrays = [(1 - share) * a + share * b for a, b in zip(low, high, strict=True)]
        score = score_of(arrays)
        if abs(score - target) < abs(best[0] - target):
            best = (score, arrays)
        start, end = (share, end) if score < target else (start, share)
    return best[1], best[0]


def _kept(arrays: Arrays, keep: Path | None) -> str:
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array, allow_pickle=False)
    content = buffer.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{sha256}.npy").write_bytes(content)
    return sha256


def _checkpoint(folder: Path, sha256: str) -> Arrays:
    path = folder / f"{sha256}.npy"
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FederationError(f"{path} is missing, or is not the checkpoint of that hash.")
    buffer, arrays = io.BytesIO(content), []
    while buffer.tell() < len(content):
        arrays.append(np.load(buffer, allow_pickle=False))
    return arrays
