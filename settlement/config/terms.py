"""What the parties agree to: the terms, whose hash the escrow holds and every deposit names.

The terms are made before any money is locked and name everything that decides who pays whom but
the deposits themselves: chain and contract, operator and parties, the game, caps, the data and the
recipe behind the scores, the way of settling, the deadlines, the asset and its unit.
"""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from ml.game.words import Choice, Estimator
from ml.schema import Table
from settlement.config.schema import Name, as_read
from settlement.errors import SettlementError
from settlement.money.terms import MAX_AMOUNT_UNITS, MAX_ROUND_PARTIES
from settlement.store.folder import LAYOUT, RoundFolder, dump_json

__all__ = [
    "TERMS_FILE",
    "AgreedParty",
    "AgreedTerms",
    "Basis",
    "ExternalBasis",
    "Sampling",
    "TermsUnreadable",
]

TERMS_FILE = "terms.json"

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
UnixTime = Annotated[int, Field(ge=1, lt=2**40)]


class TermsUnreadable(SettlementError):
    """A file of terms that is not of the form that this version writes."""


class AgreedParty(Table):
    """One seat of the round: a name, an account, and the data that it brought."""

    name: Name
    address: Address
    data_sha256: Sha256 | None = None


class Basis(Table):
    """What the scores were measured on, as hashes."""

    data_sha256: Sha256
    validation_sha256: Sha256
    recipe_sha256: Sha256
    recipe: dict[str, Any]
    code_sha256: dict[str, str]


class ExternalBasis(Table):
    """What scores that were told rest on: who measures, its code, and the file of all answers.

    ``reported_sha256`` is of the file with every score and every model's hash.
    """

    measured_by: str
    code_sha256: dict[str, str]
    score_range: tuple[float, ...] = Field(min_length=2, max_length=2)
    reported_sha256: Sha256


class Sampling(Table):
    """How coalitions are sampled: nobody can try several seeds and keep the one that suits.

    ``expected_budgets``, in units of value, None without a limit, are those by which coalitions
    are chosen and the sample is found large enough. They bind nobody: deposits do.
    """

    evaluations: int = Field(ge=1, le=10**7)
    estimator: Estimator
    seed: int = Field(ge=0)
    choose: Choice = "sizes"
    largest_payment_error: float | None = None
    expected_budgets: tuple[float | None, ...] | None = None

    @property
    def budgets(self) -> tuple[float, ...] | None:
        """Expected budgets, infinite without a limit; None where nothing depends on them."""
        if self.expected_budgets is None:
            return None
        return tuple(math.inf if b is None else b for b in self.expected_budgets)


class AgreedTerms(Table):
    """The terms of one round; the SHA-256 of their file is part of what every deposit names."""

    layout: Literal[3] = LAYOUT
    round: Name
    chain_id: int = Field(ge=1, lt=2**64)
    escrow: Address
    operator: Address
    parties: tuple[AgreedParty, ...]
    asset: Address
    unit_scale: int = Field(ge=1, le=10**27)
    exchange_rate: int = Field(ge=1, le=MAX_AMOUNT_UNITS)
    quorum_units: int = Field(ge=0, le=MAX_AMOUNT_UNITS)
    funding_deadline: UnixTime
    settlement_deadline: UnixTime
    settlement: Literal["proof", "signatures"]
    game_sha256: Sha256
    caps: tuple[float | None, ...]
    values_sha256: Sha256
    monotone: str
    sampling: Sampling | None
    basis: Basis | ExternalBasis | None

    @model_validator(mode="after")
    def _fits_together(self) -> AgreedTerms:
        if not 2 <= len(self.parties) <= MAX_ROUND_PARTIES:
            raise ValueError(f"{len(self.parties)} parties; expected 2 to {MAX_ROUND_PARTIES}")
        if len(self.caps) != len(self.parties):
            raise ValueError(f"{len(self.caps)} caps for {len(self.parties)} parties")
        for what, found in (("name", self.party_names), ("address", self.addresses)):
            if len(set(map(as_read, found))) != len(found):
                raise ValueError(f"two parties have one {what}")
        if self.funding_deadline >= self.settlement_deadline:
            raise ValueError("the settlement deadline is not after the funding deadline")
        return self

    @property
    def party_names(self) -> tuple[str, ...]:
        """Names in order; the index is the party."""
        return tuple(party.name for party in self.parties)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Accounts of the parties, in order."""
        return tuple(party.address for party in self.parties)

    def encode(self) -> bytes:
        """The file, to the last byte."""
        return dump_json(self.model_dump(mode="json"))

    @property
    def hash(self) -> bytes:
        """SHA-256 of the file, as the contract holds it."""
        return hashlib.sha256(self.encode()).digest()

    @classmethod
    def decode(cls, raw: bytes) -> AgreedTerms:
        """Terms out of a file; written again they must be the same bytes.

        Raises
        ------
        TermsUnreadable
            With the first fault.
        """
        try:
            terms = cls.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise TermsUnreadable(f"open/{TERMS_FILE}: {place}: {first['msg']}.") from None
        if terms.encode() != raw:
            raise TermsUnreadable(
                f"open/{TERMS_FILE}: not in the spelling that this version writes; what you read "
                f"and what is hashed would differ."
            )
        return terms

    @classmethod
    def read(cls, folder: RoundFolder) -> AgreedTerms:
        """The terms of a round that was opened, after checking its seals."""
        return cls.decode((folder.stage("open") / TERMS_FILE).read_bytes())
