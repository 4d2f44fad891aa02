"""The checks of what is agreed before any money: values, game, and the terms that name them.

They read files alone, run no code of a user's and need no data, so a party carries them out before
it deposits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.game import GivenFlows, describe_coalition
from settlement.audit.comparing import close, disagreement, same
from settlement.audit.findings import AuditError
from settlement.config.given_flows import given_flows
from settlement.config.reading import RoundConfig
from settlement.config.terms import AgreedTerms, Sampling
from settlement.posting.format import MAX_POSTED_PARTIES, VALUE_SCALE, flow_scale
from settlement.round.agreed import agreed_game
from settlement.round.game import (
    flows_of_round,
    flows_values,
    game_document,
    is_exact,
    own_values,
    stored_game,
    value_flows,
)
from settlement.round.measuring.tables import value_document
from settlement.store.documents import FLOWS, FLOWS_FILE, GameDocument, ValueDocument
from settlement.store.flows_file import read_flows
from settlement.store.folder import RoundFolder, sha256_of

__all__ = [
    "FLOW_TOLERANCE",
    "check_agreed_game",
    "check_game",
    "check_named_flows",
    "check_values",
]

FLOW_TOLERANCE = 1e-6
"""How far a posted flow may be from one's own where flows come from floats, in value units.

One base unit at the default exchange rate; another machine rounds by far less. Up to 8 parties
whose whole table is known have flows in whole numbers, which must be the same to the last unit.
"""


def check_values(folder: RoundFolder) -> None:
    """The value table is the mean of its scores, covered as it says.

    Raises
    ------
    AuditError
    """
    stored = ValueDocument.read(folder)
    if stored.source == FLOWS:
        given = _flows_in_file(folder, stored)
        for name, found in flows_values(stored.parties, given, stored.monotone).as_json().items():
            close(stored, name, found)
        return
    again = value_document(
        stored.parties,
        np.array(stored.scores),
        monotone=stored.monotone,
        source=stored.source,
        coalitions=stored.coalitions,
        seeds=stored.seeds,
        device=stored.device,
        basis=stored.basis,
        score_range=stored.score_range,
        untrained_score=stored.untrained_score,
    )
    _check_buyers(stored)
    for name in stored.as_json():
        close(stored, name, getattr(again, name))


def _check_buyers(stored: ValueDocument) -> None:
    """Who brought no samples changes no score, exactly."""
    if stored.coalitions is not None:
        return  # of a sample, flows are those of a game without the buyers
    coalitions = np.arange(len(stored.scores[0]))
    for buyer in stored.buyers:
        without = coalitions & ~(1 << buyer)
        for scores in map(np.array, stored.scores):
            for coalition in np.flatnonzero(scores != scores[without]).tolist():
                told = f"score of {describe_coalition(coalition, stored.parties)}"
                alone = f"{scores[without[coalition]]}: {stored.parties[buyer]} brought no data"
                raise AuditError(disagreement(stored, told, scores[coalition], alone))


def check_game(
    folder: RoundFolder, caps: Sequence[float | None], sampling: Sampling | None
) -> None:
    """Flows and own values follow from the values, and have the hash that they are named by.

    ``sampling`` says how coalitions were sampled; None where all values are known.

    Raises
    ------
    AuditError
    """
    values, stored = ValueDocument.read(folder), GameDocument.read(folder)
    same(stored, "parties", values.parties)
    if len(values.parties) > MAX_POSTED_PARTIES:
        _check_flows_file(folder, stored, values, sampling)
        return
    given = _flows_in_file(folder, values) if values.source == FLOWS else None
    game = stored_game(stored)
    same(stored, "game_hash", game.hash.hex())
    _check_row_sums(stored)
    again = game_document(values, caps, sampling, given)
    if is_exact(values):
        for name in stored.as_json():
            same(stored, name, getattr(again, name))
        return
    same(stored, "wanted", again.wanted)
    ours = stored_game(again)
    _check_close(stored, "flows", value_flows(game), value_flows(ours))
    _check_close(stored, "own", [own_values(game)], [own_values(ours)])


def check_agreed_game(folder: RoundFolder, terms: AgreedTerms) -> None:
    """Values and game are those that the terms name, and follow from each other.

    Raises
    ------
    AuditError
    """
    values, game = ValueDocument.read(folder), GameDocument.read(folder)
    path = folder.stage(values.STAGE) / values.FILE
    found = sha256_of(path)
    if found != terms.values_sha256:
        raise AuditError(
            f"{values.STAGE}/{values.FILE} has SHA-256 {found}; the terms name "
            f"{terms.values_sha256}."
        )
    same(values, "parties", list(terms.party_names))
    same(values, "monotone", terms.monotone)
    same(game, "parties", list(terms.party_names))
    same(game, "game_hash", terms.game_sha256)
    agreed_game(folder).check(terms.exchange_rate)  # any deposits can be settled
    check_values(folder)
    check_game(folder, terms.caps, terms.sampling)


def check_named_flows(folder: RoundFolder, config: RoundConfig) -> None:
    """The file of flows that the configuration names says what the round's own file says.

    Raises
    ------
    AuditError, FlowsFileError
    """
    named, ours = given_flows(config), _flows_in_file(folder, ValueDocument.read(folder))
    for what, one, other in (
        ("flows", named.flows, ours.flows),
        ("own values", named.own_values, ours.own_values),
        ("v(N)", np.float64(named.grand_value), np.float64(ours.grand_value)),
    ):
        off = float(abs(one - other).max())
        if off > 0:
            raise AuditError(
                f"{config.flows_path} has {what} that differ by up to "
                f"{off:.3g} from those that the round was made from."
            )


def _flows_in_file(folder: RoundFolder, values: ValueDocument) -> GivenFlows:
    """The round's file of flows, which obey eq. (4); of as many parties as there are names."""
    given = read_flows(folder.stage(values.STAGE) / FLOWS_FILE).given
    if given.n_parties != len(values.parties):
        raise AuditError(
            f"{values.STAGE}/{FLOWS_FILE} holds flows of {given.n_parties} parties; expected "
            f"{len(values.parties)}."
        )
    return given


def _check_flows_file(
    folder: RoundFolder, stored: GameDocument, values: ValueDocument, sampling: Sampling | None
) -> None:
    """The file of flows has the hash that the game is named by; measured, they are also ours.

    Where the flows were given the file is all there is to compare with: they obey eq. (4).
    """
    empty = GameDocument(stored.parties, [], [], [], stored.game_hash)
    for name, nothing in empty.as_json().items():
        same(stored, name, nothing)
    path = folder.stage(stored.STAGE) / FLOWS_FILE
    same(stored, "game_hash", sha256_of(path))
    found = _flows_in_file(folder, values)
    if values.source == FLOWS:
        return
    ours = flows_of_round(values, sampling, None)
    for what, one, other in (
        ("flows", found.flows, ours.flows),
        ("own values", found.own_values, ours.own_values),
    ):
        off = float(abs(one - other).max())
        if off > FLOW_TOLERANCE:
            raise AuditError(
                f"{stored.STAGE}/{FLOWS_FILE}: {what} are off by up to {off:.3g} from those that "
                f"follow from the values; expected {FLOW_TOLERANCE} at most."
            )


def _check_row_sums(stored: GameDocument) -> None:
    """Eq. (4) in whole numbers: own value and costs of every party make up v(N)."""
    n_parties = len(stored.own)
    if [len(row) for row in stored.flows] != [n_parties] * n_parties:
        raise AuditError(
            disagreement(stored, "flows", "not square", f"{n_parties} rows of as many")
        )
    scale = flow_scale(n_parties)
    grand = [scale * own + sum(row) for own, row in zip(stored.own, stored.flows, strict=True)]
    for party, worth in enumerate(grand):
        if worth != grand[0]:
            told = f"own value and flows of party {party}"
            raise AuditError(disagreement(stored, told, worth, f"{grand[0]}, eq. (4)"))
        if stored.flows[party][party]:
            raise AuditError(disagreement(stored, f"flows[{party}][{party}]", "not 0", 0))


def _check_close(
    stored: GameDocument, name: str, found: list[list[float]], ours: list[list[float]]
) -> None:
    for i, (row, expected) in enumerate(zip(found, ours, strict=True)):
        for j, (one, other) in enumerate(zip(row, expected, strict=True)):
            if abs(one - other) > FLOW_TOLERANCE:
                told = f"{name}[{i}][{j}] (in posted units of 1/{VALUE_SCALE})"
                raise AuditError(disagreement(stored, told, one, f"{other} +- {FLOW_TOLERANCE}"))
