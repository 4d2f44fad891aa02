from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from settlement.escrow.twin import Refusal
from tests.contracts.arena import Arena


@pytest.fixture(scope="module")
def shared_arena() -> Iterator[Arena]:
    """One escrow a file: its rounds do not know of each other."""
    made = Arena()
    yield made
    made.chain.close()


@pytest.fixture
def arena(shared_arena: Arena) -> Iterator[Arena]:
    n_rounds = len(shared_arena.twin.rounds)
    yield shared_arena
    shared_arena.check_ledger(since=n_rounds)


@pytest.fixture
def refused(arena: Arena) -> Callable[[str], Any]:
    """The escrow refuses with this sentence, and nothing has moved."""

    @contextmanager
    def check(reason: str) -> Iterator[None]:
        root, n_events = arena.chain.state_root(), len(arena.twin.events)
        with pytest.raises(Refusal) as caught:
            yield
        assert caught.value.reason == f"escrow: {reason}"
        assert arena.chain.state_root() == root
        assert len(arena.twin.events) == n_events

    return check
