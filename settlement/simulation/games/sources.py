"""From the table ``[game]`` of a scenario to the game of one round."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ml.errors import FairroundError
from ml.game import family
from ml.reading import VALUES_BYTES, read_json
from settlement.simulation.games.pieces import (
    MAX_EXACT_ACCOUNTS,
    ExactPieces,
    FlowPieces,
    GameError,
    PieceGame,
    SampledPieces,
)
from settlement.simulation.games.shards import shard_values
from settlement.simulation.tables.scenario import (
    FamilyGame,
    FlowsGame,
    RoundGame,
    Scenario,
    ShardsGame,
    TableGame,
    drawn,
)

__all__ = ["GameSource", "game_source"]


class GameSource(Protocol):
    """Gives every replicate its game, and every party its pieces."""

    def game(self, rng: np.random.Generator) -> PieceGame:
        """The game of one replicate."""

    def pieces_of(self, party: int) -> int:
        """The pieces of a party, as a bitmask."""


class _Families:
    def __init__(self, table: FamilyGame, n_parties: int) -> None:
        self._table = table
        self._n_parties = n_parties

    def game(self, rng: np.random.Generator) -> PieceGame:
        name = str(drawn(self._table.family, rng))
        seed = self._table.fixed_seed
        made = family(name, self._n_parties, int(rng.integers(2**62)) if seed is None else seed)
        if self._n_parties > MAX_EXACT_ACCOUNTS:
            return SampledPieces(made.evaluate, self._n_parties, self._table.evaluations)
        values = made.table().values
        # Formulas round: a coalition may come out a last digit below one that it contains, or
        # above 1, where every family ends.
        return ExactPieces(_raised(np.minimum(values, 1.0)), is_monotone=True)

    def pieces_of(self, party: int) -> int:
        return 1 << party


def _raised(values: np.ndarray) -> np.ndarray:
    for party in range(len(values).bit_length() - 1):
        pairs = values.reshape(-1, 2, 1 << party)
        np.maximum(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    return values


class _Fixed:
    """One game for all replicates."""

    def __init__(self, game: PieceGame, n_parties: int, n_pieces: int = 1) -> None:
        if game.n_pieces != n_parties * n_pieces:
            raise GameError(
                f"The game has {game.n_pieces} parties or pieces; the scenario has {n_parties} "
                f"parties of {n_pieces}. Give as many [[party]] tables as the game has parties."
            )
        self._game = game
        self._n_pieces = n_pieces

    def game(self, rng: np.random.Generator) -> PieceGame:
        return self._game

    def pieces_of(self, party: int) -> int:
        return ((1 << self._n_pieces) - 1) << (party * self._n_pieces)


class _Markets:
    """Flows of many parties, drawn anew in every replicate."""

    def __init__(self, table: FlowsGame, n_parties: int) -> None:
        self._density = table.density
        self._n_parties = n_parties

    def game(self, rng: np.random.Generator) -> PieceGame:
        n_parties = self._n_parties
        flows = rng.random((n_parties, n_parties)) * (
            rng.random((n_parties, n_parties)) < self._density
        )
        np.fill_diagonal(flows, 0.0)
        flows *= 0.9 / max(float(flows.sum(axis=1).max()), 1e-12)  # nobody owes more than 0.9
        return FlowPieces(flows, 1.0 - flows.sum(axis=1), 1.0)

    def pieces_of(self, party: int) -> int:
        return 1 << party


def game_source(
    scenario: Scenario, folder: Path, progress: Any = lambda done, total: None
) -> GameSource:
    """What a cell's rounds are about; files are looked for from the scenario's folder.

    Raises
    ------
    GameError
        If a file cannot be read or does not fit the number of parties.
    """
    table, n_parties = scenario.game, len(scenario.seats())
    if isinstance(table, FamilyGame):
        if not 2 <= n_parties <= 64:
            raise GameError(f"{n_parties} parties; a family has 2 to 64.")
        return _Families(table, n_parties)
    if isinstance(table, FlowsGame) and table.path is None:
        return _Markets(table, n_parties)
    try:
        if isinstance(table, ShardsGame):
            values = shard_values(
                table.data, table.training, shard_parties(scenario), table.pieces, progress
            )
            return _Fixed(ExactPieces(values), n_parties, table.pieces)
        if isinstance(table, FlowsGame):
            return _Fixed(_given_flows(folder / str(table.path)), n_parties)
        return _Fixed(ExactPieces(_values(table, folder)), n_parties)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GameError(f"The game cannot be read: {error}.") from None
    except FairroundError as error:
        if isinstance(error, GameError):
            raise
        raise GameError(f"The game cannot be read: {error}") from None


def shard_parties(scenario: Scenario) -> list[dict[str, Any]]:
    """What each party holds, as `ml.datasets` reads it."""
    return [{"name": name, **(table.model_extra or {})} for name, table in scenario.seats()]


def _values(table: TableGame | RoundGame, folder: Path) -> np.ndarray:
    if isinstance(table, TableGame) and table.values is not None:
        return np.array(table.values)
    if isinstance(table, RoundGame):
        from settlement.store.documents import ValueDocument
        from settlement.store.folder import RoundFolder

        return np.array(ValueDocument.read(RoundFolder(folder / table.path)).values)
    document = read_json(folder / str(table.path), VALUES_BYTES)
    return np.array(document["values"], dtype=np.float64)


def _given_flows(path: Path) -> FlowPieces:
    document = read_json(path, VALUES_BYTES)
    flows = np.array(document["flows"], dtype=np.float64)
    return FlowPieces(
        flows, np.array(document["own_values"], dtype=np.float64), float(document["grand_value"])
    )
