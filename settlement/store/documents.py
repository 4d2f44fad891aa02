"""The JSON documents of a round's stages, as frozen types; later stages and the audit read them.

Floats are value units and scores; every amount of money is a whole number of base units.
Lists that hold one item a party are in configuration order.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from ml.datasets.spec import NO_SAMPLES
from ml.reading import VALUES_BYTES, read_json
from settlement.chain.errors import JournalFault
from settlement.chain.journal import JOURNAL_NAME, JournalEntry, read_journal
from settlement.store.folder import RoundFolder, TamperedFile, dump_json

__all__ = [
    "FLOWS",
    "FLOWS_FILE",
    "AllocationDocument",
    "Document",
    "GameDocument",
    "ModelRewardEntry",
    "OpenedRound",
    "RewardDocument",
    "SettlementDocument",
    "ValueDocument",
]


FLOWS = "flows"
"""Source of values where flows were given and nothing was measured."""

FLOWS_FILE = "flows.npz"
"""In ``train/``: flows that were given, and those of more parties than a contract can read."""


def _from_hexadecimal(text: Any) -> int:
    """A bitmask from its text, in the one spelling that it is written in."""
    coalition = int(text, 16) if isinstance(text, str) else -1
    if coalition < 0 or hex(coalition) != text:
        raise ValueError(f"{text!r:.40} is no coalition: expected a bitmask such as 0x1f")
    return coalition


Coalition = Annotated[int, BeforeValidator(_from_hexadecimal)]
"""A bitmask; in files it is text in hexadecimal, because it may have more bits than a number."""


@dataclass(frozen=True)
class Document:
    """One file of one stage."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    STAGE: ClassVar[str]
    FILE: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """Plain data, as it stands in the file."""
        return asdict(self)

    def write(self, folder: Path) -> None:
        """Write into the folder of a stage that is being made."""
        (folder / self.FILE).write_bytes(dump_json(self.as_json()))

    @classmethod
    def read(cls, folder: RoundFolder) -> Self:
        """Read back from a complete stage, after checking its seal.

        Raises
        ------
        TamperedFile
            If a field is missing, unknown, or of another type: a seal can be made anew.
        """
        content = read_json(folder.stage(cls.STAGE) / cls.FILE, VALUES_BYTES)
        try:
            # As JSON again: there strict validation takes an object for a dataclass.
            return TypeAdapter(cls).validate_json(json.dumps(content))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the document"
            raise TamperedFile(
                f"{cls.STAGE}/{cls.FILE}: {place}: {first['msg']}. Restore the file."
            ) from None


@dataclass(frozen=True)
class ValueDocument(Document):
    """Values of coalitions; bit i of a coalition is party i.

    ``values`` is what the round goes on with; ``scores`` what each seed measured, before
    any cover. Of an exact round they hold all coalitions in order (so the calculator reads the
    file too); of an estimated one those of ``coalitions``. Where flows were given there are no
    scores, and ``values`` are the own ones and v(N). ``basis`` is what the scores were
    measured on, as hashes: the data of each party and of all, the recipe, a user's own code.
    """

    STAGE = "train"
    FILE = "values.json"

    parties: list[str]
    values: list[float]
    source: str  # "given", "trained" or "external"
    coalitions: list[Coalition] | None  # None: all 2**n
    scores: list[list[float]]  # one row a seed; the given values if nothing was trained
    seeds: list[int]
    device: str | None
    monotone: str
    monotone_violations: dict[str, Any] | None  # edges, broken, largest: of the mean scores
    best_coalitions: list[int] | None  # whose model stands for each coalition
    basis: dict[str, Any] | None  # None where the values were given
    score_range: list[float] | None = None  # what 0 and 1 stand for, where scores are no accuracies
    untrained_score: float | None = None  # of the network as it starts, where there are buyers

    def as_json(self) -> dict[str, Any]:
        """Plain data, as it stands in the file: coalitions in hexadecimal."""
        plain = super().as_json()
        if self.coalitions is not None:
            plain["coalitions"] = [hex(coalition) for coalition in self.coalitions]
        return plain

    @property
    def buyers(self) -> tuple[int, ...]:
        """The parties that brought no data to a round that trains."""
        digests = (self.basis or {}).get("party_data_sha256", [])
        return tuple(party for party, digest in enumerate(digests) if digest == NO_SAMPLES)

    @property
    def reward_floors(self) -> list[float]:
        """The score that each party's model has at least, if it gets one.

        A cover may take v(i) below what party i's own model scores; the party keeps that model. A
        buyer without data has none, and gets no less than an untrained network. Estimates are not
        covered: own values are own scores.
        """
        buyers, floors = self.buyers, []
        for party in range(len(self.parties)):
            if party in buyers:
                floors.append(self.untrained_score or 0.0)
            elif self.is_table:
                floors.append(fmean(row[1 << party] for row in self.scores))
            else:
                floors.append(0.0)
        return floors

    @property
    def is_table(self) -> bool:
        """Whether the values of all coalitions are known."""
        return self.coalitions is None and self.source != FLOWS

    def value_of(self, coalition: int) -> float:
        """Value of one coalition that was given or trained."""
        index = coalition if self.coalitions is None else self.coalitions.index(coalition)
        return self.values[index]

    @property
    def grand_value(self) -> float:
        """v(N): the last of all values, whether of a table or of given flows."""
        if self.coalitions is None:
            return self.values[-1]
        return self.value_of((1 << len(self.parties)) - 1)


@dataclass(frozen=True)
class GameDocument(Document):
    """What everybody agrees on before any money: flows and own values in posted whole units.

    ``flows[payer][payee]``, ``own`` and ``wanted`` (empty: nobody has a cap) are as the contract
    reads them; ``game_hash`` is the hash that the terms and the contract name them by. Beyond 64
    parties the numbers are left out, and the hash is that of the file of flows beside it.
    """

    STAGE = "train"
    FILE = "game.json"

    parties: list[str]
    flows: list[list[int]]
    own: list[int]
    wanted: list[int]
    game_hash: str

    @property
    def is_posted(self) -> bool:
        """Whether the game stands here in whole numbers; else in the file of flows."""
        return bool(self.own)


@dataclass(frozen=True)
class OpenedRound(Document):
    """Where the round lives on the chain: which contract, which number.

    What was agreed stands in the terms beside it; what was locked, on the chain.
    """

    STAGE = "open"
    FILE = "round.json"

    chain_id: int
    escrow: str
    round_id: int
    terms_hash: str
    agreement: str  # what every deposit names


@dataclass(frozen=True)
class AllocationDocument(Document):
    """Who owes whom in value units, before and after the budgets, which are the locked deposits.

    Standard errors are those of several seeds, or of an estimate from a sample of coalitions;
    ``None`` where neither tells.
    """

    STAGE = "allocate"
    FILE = "allocation.json"

    parties: list[str]
    deposits_units: list[int]
    own_values: list[float]
    budgets: list[float]
    flows: list[list[float]] | None  # None beyond 64 parties: the file of flows has them
    shapley: list[float]
    payoffs_unlimited: list[float]
    adjustment_factors: list[float]
    adjusted_flows: list[list[float]] | None
    payoffs: list[float]
    model_values: list[float]
    payoff_errors: list[float] | None
    factor_errors: list[float] | None
    model_value_errors: list[float] | None
    certificate_gap: float
    solver_gap: float | None  # None where only one solver was asked
    n_raised: int | None = None  # estimated flows that were below 0 and raised; None: no estimate
    largest_raised: float | None = None  # by how much the most negative one was


@dataclass(frozen=True)
class ModelRewardEntry:
    """The trained model that one party receives."""

    party: int
    target: float
    validation_score: float
    holdout_score: float | None  # None without a holdout
    made: str
    file: str
    sha256: str


@dataclass(frozen=True)
class RewardDocument(Document):
    """Model rewards; none where values were given, nor for buyers that bought nothing."""

    STAGE = "reward"
    FILE = "rewards.json"

    n_validation: int
    n_holdout: int
    rewards: list[dict[str, Any]]
    brackets: list[dict[str, Any]] = field(default_factory=list)  # of models trained elsewhere

    @property
    def entries(self) -> tuple[ModelRewardEntry, ...]:
        """The models, in the order of the parties that receive them."""
        return tuple(ModelRewardEntry(**entry) for entry in self.rewards)


@dataclass(frozen=True)
class SettlementDocument(Document):
    """What was carried out on the chain, and what every party took home."""

    STAGE = "settle"
    FILE = "settlement.json"

    plan_id: str
    net_positions_units: list[int]
    transfers: list[dict[str, int]]
    settlement_transaction: str
    settlement_block: int
    withdrawn_units: list[int]
    claims_units: list[int]  # what is still in the escrow
    transactions: list[dict[str, Any]]  # of the whole round so far, whoever sent them
    journal_start: str  # digest of its first line, by which the journal of this folder is told
    journal_lines: int  # when the round was settled; a party may add its withdrawal later
    journal_digest: str  # running digest at the last of them

    def settled_journal(self, folder: RoundFolder) -> tuple[JournalEntry, ...] | None:
        """What the round's journal held when it was settled; it must still begin with that.

        The running digest of a journal does not show that lines at its end are lost. None if the
        folder has no journal, or one of somebody who did not settle the round.

        Raises
        ------
        JournalFault
        """
        path = folder.chain_path / JOURNAL_NAME
        if not path.exists():
            return None
        entries = read_journal(path).entries
        if entries and entries[0].digest != self.journal_start:
            return None
        settled = f"the round was settled with {self.journal_lines} lines"
        if len(entries) < self.journal_lines:
            raise JournalFault(path, len(entries), f"it ends here; {settled}. Restore the file.")
        found = entries[self.journal_lines - 1].digest
        if found != self.journal_digest:
            told = f"digest {found}; {settled} and digest {self.journal_digest}."
            raise JournalFault(path, self.journal_lines, f"{told} Restore the round's own journal.")
        return entries[: self.journal_lines]
