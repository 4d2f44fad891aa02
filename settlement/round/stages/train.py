"""train: the value of every coalition, given or measured, and the game that follows from them.

The game, flows and own values in posted whole units, follows from the values alone. It is what the
parties agree on when they deposit, so it is made before the round is opened.
"""

from __future__ import annotations

from settlement.round.context import RoundContext
from settlement.round.game import game_document, stored_game
from settlement.round.measuring.measured import measure_round
from settlement.round.measuring.sources import measurer_of
from settlement.round.measuring.tables import value_document

__all__ = ["carry_out"]


def carry_out(context: RoundContext) -> None:
    """Write v(C) = mean score over seeds, covered if the round says so, and the posted game."""
    config = context.config
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
    )
    # Before the folder is written: what cannot be posted stops the round before it is opened.
    game = game_document(document, config.caps, config.values if config.estimates else None)
    stored_game(game).check(config.exchange_rate)
    with context.folder.write_stage("train", inputs=[]) as folder:
        document.write(folder)
        game.write(folder)
        for name, content in provenance.files.items():
            (folder / name).write_bytes(content)
