"""What model each party is entitled to where models are trained elsewhere.

No model is here, so none is handed out. The checkpoints of the grand coalition's training that were
told, and its final model, are the ladder of early stopping (Sec. 4): the reward is between the
first one that is good enough and the one before it, or before the first one the party's own model.
"""

from __future__ import annotations

from typing import Any

from settlement.round.measuring.external import reported_answers
from settlement.store.answers import Checkpoint, Told
from settlement.store.documents import AllocationDocument, RewardDocument, ValueDocument
from settlement.store.folder import RoundFolder
from settlement.store.score_range import from_value

__all__ = ["entitled"]


def entitled(
    folder: RoundFolder, values: ValueDocument, allocation: AllocationDocument
) -> RewardDocument:
    """The score that each party's model may have, and the checkpoints around it if any were told.

    ``share`` is how far the reward lies from the checkpoint below to the one above, by score: where
    on the straight line between their weights a search for the model starts.
    """
    reported = reported_answers(folder)
    score_range = values.score_range or (0.0, 1.0)
    n_parties = len(values.parties)
    ladder = _ladder([told for told in reported if len(told.members) == n_parties])
    own = {t.members[0]: t for t in reversed(reported) if len(t.members) == 1}
    brackets = []
    for party, name in enumerate(values.parties):
        target = from_value(allocation.model_values[party], score_range)
        bracket: dict[str, Any] = {"party": party, "target_score": target}
        bracket |= {"below": None, "above": None, "share": None}
        rungs = [_rung("own", own[name]), *ladder]
        above = next((k for k in range(1, len(rungs)) if rungs[k]["score"] >= target), None)
        if above is not None:
            low, high = rungs[above - 1], rungs[above]
            gap = high["score"] - low["score"]
            share = min(1.0, max(0.0, (target - low["score"]) / gap)) if gap > 0 else 1.0
            bracket |= {"below": low, "above": high, "share": share}
        brackets.append(bracket)
    return RewardDocument(n_validation=0, n_holdout=0, rewards=[], brackets=brackets)


def _ladder(grand: list[Told]) -> list[dict[str, Any]]:
    """Models on the way of one training of the grand coalition, the final one last.

    Of several seeds the first one with checkpoints, or with a model at least.
    """
    named = [told for told in grand if told.checkpoints or told.model_sha256 is not None]
    if not named:
        return []
    told = next((told for told in named if told.checkpoints), named[0])
    rungs = [_rung(k, rung) for k, rung in enumerate(told.checkpoints)]
    last = told.checkpoints[-1] if told.checkpoints else None
    if last is None or (last.score, last.model_sha256) != (told.score, told.model_sha256):
        rungs.append(_rung("final", told))
    return rungs


def _rung(which: int | str, told: Told | Checkpoint) -> dict[str, Any]:
    return {"rung": which, "score": told.score, "model_sha256": told.model_sha256}
