"""What data a round uses and who holds which part of it: checked, hashed, without loading any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ml.datasets.checks import Checker
from ml.errors import Fault, SpecError

__all__ = ["OVERLAPS", "PARTY_KEYS", "SOURCES", "DataSpec", "PartyData", "data_spec"]

#: Sources and the number of their classes, where it is known before the data is.
SOURCES: dict[str, int | None] = {"mnist": 10, "digits": 10}
OVERLAPS = ("union", "concat")

DATA_KEYS = frozenset({"source", "overlap", "holdout_share", "test_share", "seed"})
#: Keys of a ``[[party]]`` table that this room reads; the others belong to the caller.
PARTY_KEYS = frozenset({"labels"})


@dataclass(frozen=True, slots=True)
class PartyData:
    """What one party holds: the training samples of these labels."""

    name: str
    labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSpec:
    """A checked description of the data; ``load`` turns it into a collaboration.

    ``overlap`` says what a coalition of parties with common samples trains on: each sample once
    ("union") or as often as it is held ("concat"). ``test_share`` of a source without a test set
    of its own is taken from it; ``holdout_share`` of the test set is the holdout, the rest is the
    common validation set. Both draws are stratified by label and seeded.
    """

    source: str
    parties: tuple[PartyData, ...]
    overlap: str = "union"
    holdout_share: float = 0.5
    test_share: float = 0.4
    seed: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 over all fields, in hexadecimal."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def data_spec(mapping: Mapping[str, Any], parties: Sequence[Mapping[str, Any]]) -> DataSpec:
    """The data of a round from the table ``[data]`` and the list of ``[[party]]`` tables.

    Keys of a party that are not in `PARTY_KEYS` are left to the caller.

    Raises
    ------
    SpecError
        With every fault and its place: ``data.source``, ``party[2].labels`` and so on.
    """
    faults: list[Fault] = []
    data = Checker(mapping, "data", faults)
    data.refuse_unknown(DATA_KEYS)
    if "source" not in data.table:
        data.fault("source", f"missing; expected one of {', '.join(sorted(SOURCES))}.")
    source = data.choice("source", SOURCES, "mnist")
    overlap = data.choice("overlap", OVERLAPS, "union")
    holdout_share = data.number("holdout_share", 0.5, 0.0, 0.9)
    test_share = data.number("test_share", 0.4, 0.05, 0.9)
    seed = data.integer("seed", 0, 0)
    if not isinstance(parties, Sequence) or isinstance(parties, str | bytes):
        faults.append(Fault("party", f"found {parties!r}; expected a list of tables."))
        parties = []
    elif len(parties) < 2:
        faults.append(Fault("party", f"found {len(parties)} parties; a round needs at least 2."))
    held = tuple(_party_data(party, k, source, faults) for k, party in enumerate(parties))
    if faults:
        raise SpecError(faults)
    return DataSpec(source, held, overlap, holdout_share, test_share, seed)


def _party_data(party: object, index: int, source: str, faults: list[Fault]) -> PartyData:
    """One party's share; faults go to the list."""
    checker = Checker(party, f"party[{index}]", faults)
    name = str(checker.table.get("name", index))
    if "labels" not in checker.table:
        checker.fault("labels", "missing; expected the list of labels that the party holds.")
        return PartyData(name)
    labels = checker.integers("labels", (0,), 0, distinct=True)
    n_classes = SOURCES[source]
    outside = sorted({label for label in labels if n_classes is not None and label >= n_classes})
    if outside:
        checker.fault(
            "labels",
            f"{', '.join(map(str, outside))} is outside the data; {source} has labels "
            f"0 to {(n_classes or 0) - 1}.",
        )
    return PartyData(name, labels)
