"""train: the value of every coalition, given or measured, and the game that follows from them.

The game, flows and own values in posted whole units, follows from the values alone, or flows are
given instead of values. It is what the parties agree on when they deposit, so it is made before
the round is opened.
"""

from __future__ import annotations

from ml.game import GivenFlows
from settlement.config.given_flows import given_flows
from settlement.config.reading import RoundConfig
from settlement.posting.format import MAX_POSTED_PARTIES
from settlement.round.context import RoundContext
from settlement.round.game import flows_of_round, flows_values, game_document, stored_game
from settlement.round.measuring.measured import measure_round
from settlement.round.measuring.sources import measurer_of
from settlement.round.measuring.tables import value_document
from settlement.store.documents import FLOWS_FILE, GameDocument, ValueDocument
from settlement.store.flows_file import write_flows
from settlement.store.folder import sha256_of

__all__ = ["carry_out"]


def carry_out(context: RoundContext) -> None:
    """Write v(C) = mean score over seeds, covered if the round says so, and the game.

    Up to 64 parties the game is posted in whole numbers; beyond, it is a file of flows.
    """
    config = context.config
    values, given, files = _values(context)
    sampling = config.sampling
    game = None
    if len(config.parties) <= MAX_POSTED_PARTIES:
        # Before the folder is written: what cannot be posted stops the round before it is opened.
        game = game_document(values, config.caps, sampling, given)
        stored_game(game).check(config.exchange_rate)
    with context.folder.write_stage("train", inputs=[]) as folder:
        values.write(folder)
        if given is not None or game is None:
            write_flows(folder / FLOWS_FILE, flows_of_round(values, sampling, given))
        if game is None:
            game = GameDocument(values.parties, [], [], [], sha256_of(folder / FLOWS_FILE))
        game.write(folder)
        for name, content in files.items():
            (folder / name).write_bytes(content)


def _values(context: RoundContext) -> tuple[ValueDocument, GivenFlows | None, dict[str, bytes]]:
    """What is known of coalitions; the flows, where they are given instead; files that show it."""
    config = context.config
    if config.flows_path is not None:
        given = given_flows(config)
        return flows_values(config.party_names, given, config.monotone), given, {}
    values, files = _measured(config, context)
    return values, None, files


def _measured(config: RoundConfig, context: RoundContext) -> tuple[ValueDocument, dict[str, bytes]]:
    measurer = measurer_of(config)
    measured = measure_round(config, measurer, context.progress)
    provenance = measurer.provenance(measured)
    document = value_document(
        config.party_names,
        measured.scores,
        monotone=config.monotone,
        source=measurer.source,
        coalitions=measured.coalitions,
        seeds=measurer.seeds,
        device=provenance.device,
        basis=provenance.basis,
        score_range=provenance.score_range,
        untrained_score=provenance.untrained_score,
    )
    return document, provenance.files
