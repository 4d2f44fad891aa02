"""What goes wrong on the way to a chain, drawn for every send of a round."""

from __future__ import annotations

from collections import Counter

import numpy as np

from settlement.simulation.tables.scenario import ChainTroubles

__all__ = ["Troubles"]


class Troubles:
    """The troubles of one round; ``met`` counts those that happened."""

    def __init__(self, table: ChainTroubles, rng: np.random.Generator, funding_s: int) -> None:
        self._table = table
        self._rng = rng
        self._funding_s = funding_s
        self.met: Counter[str] = Counter()

    def _happens(self, name: str) -> bool:
        chance = getattr(self._table, name)
        if chance > 0 and self._rng.random() < chance:
            self.met[name] += 1
            return True
        return False

    def send_reverts(self) -> bool:
        """The first try runs out of gas; nothing moves, and it is sent again."""
        return self._happens("reverted_sends")

    def reply_is_lost(self) -> bool:
        """The sender does not hear that it went through, and sends once more."""
        return self._happens("lost_replies")

    def is_reorganised(self) -> bool:
        """The block is undone, and the transaction comes back in a later one."""
        return self._happens("reorganisations")

    def waits_s(self) -> int:
        """Seconds until the next block, or until gas costs again what the sender pays."""
        waits_s = 1
        if self._happens("delayed_blocks"):
            waits_s += int(self._rng.integers(1, max(2, self._funding_s // 4)))
        if self._happens("fee_spikes"):
            waits_s += int(self._rng.integers(1, max(2, self._funding_s // 10)))
        return waits_s

    def misses_deadline_by_s(self) -> int | None:
        """How long after the deadline it arrives, 1 or 0 seconds; None if it is in time."""
        if not self._happens("late_by_a_second"):
            return None
        return int(self._rng.integers(2))

    def in_words(self) -> str:
        """What happened, and how often."""
        return ", ".join(f"{name} {count}" for name, count in sorted(self.met.items()))
