"""What data a round uses and who holds which part of it: checked, without loading any."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field

from ml.errors import Fault, SpecError
from ml.schema import FROM_DECIMAL, Listed, Seed, Table, joined, read_repaired, untold

__all__ = [
    "NO_SAMPLES",
    "PARTY_KEYS",
    "SOURCES",
    "DataSpec",
    "DataTable",
    "PartyData",
    "buyers_of",
    "data_faults",
    "data_spec",
]

Source = Literal[
    "mnist",
    "digits",
    "imdb",
    "fashion-mnist",
    "cifar10",
    "folder",
    "csv",
    "parquet",
    "huggingface",
]

SOURCES: tuple[str, ...] = get_args(Source)

N_CLASSES = {"mnist": 10, "digits": 10, "imdb": 2, "fashion-mnist": 10, "cifar10": 10}
"""How many classes a source has, where that is known before the data is."""

WITH_PATH = frozenset({"fashion-mnist", "cifar10", "folder", "csv", "parquet"})
"""Sources that read files of the user's."""

NO_SAMPLES = hashlib.sha256(b"").hexdigest()
"""The digest of a buyer's data, whatever the others hold: SHA-256 of nothing."""


class PartyData(Table):
    """What one party holds; other keys of a party belong to the caller."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(description="of the party; each its own")
    buyer: bool = Field(
        False,
        description="brings no data: adds nothing to any coalition, pays for the model that it "
        "gets; `labels = []` and `share = 0` say the same",
    )
    labels: Listed[Annotated[int, Field(ge=0)]] = Field(
        (), description='split "labels": holds all samples with these labels; []: a buyer'
    )
    share: Annotated[float, Field(ge=0, le=1), FROM_DECIMAL] | None = Field(
        None, description='split "shares": the part of all samples that it holds; 0: a buyer'
    )
    ids: str | None = Field(
        None, description='split "ids": a file that lists the samples that it holds, an id a line'
    )
    replicate: str | None = Field(
        None, description="holds the samples of the party of this name (an experiment)"
    )
    size: Annotated[float, Field(gt=0, le=1e9), FROM_DECIMAL] | None = Field(
        None, description="draws so many of its samples, or up to 1 such a share (an experiment)"
    )
    label_noise: Annotated[float, Field(ge=0, le=1), FROM_DECIMAL] = Field(
        0.0, description="so large a share of its samples gets a wrong label (an experiment)"
    )

    @property
    def is_buyer(self) -> bool:
        """Whether it says that it brings no data; a replica of a buyer brings none either."""
        no_labels = "labels" in self.model_fields_set and not self.labels
        return self.buyer or no_labels or self.share == 0


PARTY_KEYS = frozenset(PartyData.model_fields) - {"name"}
"""Keys of a ``[[party]]`` table that say what the party holds."""


class DataTable(Table):
    """The table ``[data]``. All draws are seeded, and stratified by label if there are labels."""

    source: Source = Field(
        description="mnist ships, digits comes with scikit-learn; imdb, huggingface need an extra; "
        "the others read files of yours in `path`"
    )
    path: str = Field(
        "", description="file (csv, parquet) or folder of the source, from the round's"
    )
    task: Literal["classification", "regression"] = Field(
        "classification", description="regression predicts the figures of the column `target`"
    )
    target: str = Field("target", description="column to predict")
    text: str = Field("", description="column of texts, of a data set of huggingface")
    id: str = Field(
        "",
        description="column that names samples: those of one id are one sample, unions are exact",
    )
    dataset: str = Field("", description="of huggingface: a name there, or a folder saved by it")
    subset: str = Field(
        "", description="of huggingface: the data set's configuration, if it has several"
    )
    split: Literal["labels", "shares", "dirichlet", "ids", "source"] | None = Field(
        None,
        description="how parties share the samples; else what their keys say: by `labels`, "
        'by `ids`, in `shares`; "dirichlet" draws shares of each label, "source" is for folders',
    )
    alpha: Annotated[float, Field(gt=0, le=1e6), FROM_DECIMAL] = Field(
        0.5, description='of "dirichlet": the smaller, the more unlike the parties'
    )
    overlap: Literal["union", "concat"] = Field(
        "union",
        description="a sample that several members of a coalition hold is trained once or as often "
        "as it is held",
    )
    test_share: Annotated[float, Field(ge=0.05, le=0.9), FROM_DECIMAL] = Field(
        0.4,
        description="of a source without test samples of its own: so much is kept to test; with "
        "`ids` of named samples it is what no party lists",
    )
    holdout_share: Annotated[float, Field(ge=0, le=0.9), FROM_DECIMAL] = Field(
        0.5, description="so much of the test samples is only reported; the rest validates"
    )
    seed: Seed = Field(0, description="of all draws")
    vocabulary_size: int = Field(
        5000, ge=2, le=10**6, description="of texts: so many of the commonest words are known"
    )
    max_words: int = Field(256, ge=1, le=10**5, description="of texts: words that are read of each")


class DataSpec(DataTable):
    """A checked description of the data; ``load`` turns it into a collaboration.

    Paths are whole, and ``split`` is chosen.
    """

    parties: tuple[PartyData, ...]

    @property
    def buyers(self) -> tuple[int, ...]:
        """The parties without data."""
        return buyers_of(self.parties)

    @staticmethod
    def of(table: DataTable, parties: Sequence[PartyData], base: Path) -> DataSpec:
        """The description that checked tables give; relative paths start at ``base``."""
        return DataSpec(
            **table.model_dump(exclude={"split", "path"}),
            split=table.split or default_split(table.source, parties),  # type: ignore[arg-type]
            path=str(base / table.path) if table.path else "",
            parties=tuple(
                party.model_copy(update={"ids": str(base / party.ids)}) if party.ids else party
                for party in parties
            ),
        )


def buyers_of(parties: Sequence[PartyData]) -> tuple[int, ...]:
    """The parties without data, replicas of such parties among them."""
    said = {party.name for party in parties if party.is_buyer}
    return tuple(
        index for index, party in enumerate(parties) if party.is_buyer or party.replicate in said
    )


def data_spec(
    mapping: Mapping[str, Any],
    parties: Sequence[Mapping[str, Any]],
    *,
    base: Path | None = None,
) -> DataSpec:
    """The data of a round from the table ``[data]`` and the list of ``[[party]]`` tables.

    Relative paths are taken from ``base``, the folder of the configuration (default: the working
    folder). A party without a name is called by its number; keys that are not in `PARTY_KEYS` are
    left to the caller.

    Raises
    ------
    SpecError
        With every fault and its place: ``data.source``, ``party[2].labels`` and so on.
    """
    base = base or Path.cwd()
    faults: list[Fault] = []
    table = read_repaired(DataTable, mapping, "data", faults)
    held = [
        read_repaired(PartyData, {"name": str(k), **party}, f"party[{k}]", faults)
        for k, party in enumerate(parties)
    ]
    if len(held) < 2:
        faults.append(Fault("party", f"found {len(held)} parties; a round needs at least 2"))
    checked = [party for party in held if party is not None]
    if table is not None and len(checked) == len(held):
        faults += untold(data_faults(table, checked, base), faults)
    if table is None or faults:
        raise SpecError(faults)
    return DataSpec.of(table, checked, base)


def default_split(source: str, parties: Sequence[PartyData]) -> str:
    """How parties share the samples if nothing is said: as the source or the parties' keys say."""
    if source == "folder":
        return "source"
    keys = {key for party in parties for key in party.model_fields_set}
    if "ids" in keys:
        return "ids"
    if "labels" in keys or (source != "imdb" and source in N_CLASSES and "share" not in keys):
        return "labels"
    return "shares"


def data_faults(table: DataTable, parties: Sequence[PartyData], base: Path) -> list[Fault]:
    """What is wrong with tables that are right one by one."""
    source, split = table.source, table.split or default_split(table.source, parties)
    faults = _source_faults(table, split, base)
    for index, party in enumerate(parties):
        faults += [
            Fault(f"party[{index}].{key}", message)
            for key, message in _party_faults(party, source, split, base)
        ]
    originals = {party.name for party in parties if party.replicate is None}
    for index, party in enumerate(parties):
        if party.replicate is not None and party.replicate not in originals:
            message = (
                f'"{party.replicate}" is no party with samples of its own; expected one of '
                f"{joined(originals)}"
            )
            faults.append(Fault(f"party[{index}].replicate", message))
    if originals and all(party.is_buyer for party in parties if party.replicate is None):
        message = f"all {len(parties)} parties are buyers without data; expected one with data"
        faults.append(Fault("party", message))
    given = [p.share for p in parties if p.replicate is None and not p.is_buyer]
    shares = [share for share in given if share is not None]
    if split == "shares" and shares and len(shares) < len(given):
        faults.append(Fault("party", "some parties have a share and some not; give all or none"))
    elif split == "shares" and sum(shares) > 1 + 1e-9:
        faults.append(Fault("party", f"shares sum to {sum(shares):g}; expected at most 1"))
    return faults


def _source_faults(table: DataTable, split: str, base: Path) -> list[Fault]:
    source = table.source
    faults = []
    if table.task == "regression" and source in N_CLASSES:
        message = f"regression does not fit {source}, whose targets are labels"
        faults.append(Fault("data.task", message))
    if table.task == "regression" and split in ("labels", "dirichlet"):
        message = f'"{split}" needs labels; with regression use shares, ids or source'
        faults.append(Fault("data.split", message))
    if (split == "source") != (source == "folder"):
        message = 'the source "folder" names its parties itself: use "source" with it'
        faults.append(Fault("data.split", message))
    if source not in WITH_PATH and table.path:
        message = f"{source} reads no file of yours; leave it out"
        faults.append(Fault("data.path", message))
    elif source in WITH_PATH and not table.path:
        message = f"missing; expected the file or folder of source {source}"
        faults.append(Fault("data.path", message))
    elif not (base / table.path).exists():
        faults.append(Fault("data.path", f"{base / table.path} does not exist"))
    if source == "huggingface" and not table.dataset:
        message = "missing; expected the name of a data set for source huggingface"
        faults.append(Fault("data.dataset", message))
    return faults


def _party_faults(party: PartyData, source: str, split: str, base: Path) -> list[tuple[str, str]]:
    """Key and message of what does not go with the split, or with the source's labels."""
    faults: list[tuple[str, str]] = []
    wanted = {"labels": "labels", "ids": "ids", "shares": "share"}.get(split)
    replicated = party.replicate is not None
    if party.is_buyer:
        return _buyer_faults(party, split)
    for key in ("labels", "ids", "share"):
        if key in party.model_fields_set and (key != wanted or replicated):
            why = "a replicated party" if replicated else f'split "{split}"'
            faults.append((key, f"does not go with {why}; leave it out"))
    if wanted == "labels" and not replicated:
        n_classes = N_CLASSES.get(source)
        outside = [label for label in party.labels if n_classes and label >= n_classes]
        if not party.labels:
            faults.append(("labels", "missing; expected the list of labels that the party holds"))
        elif outside and n_classes:
            message = f"{joined(map(str, outside))} is outside the data; {source} has labels 0 to"
            faults.append(("labels", f"{message} {n_classes - 1}"))
    if wanted == "ids" and not replicated and not (party.ids and (base / party.ids).is_file()):
        message = f"found {party.ids!r}; expected a file with one sample id a line"
        faults.append(("ids", message))
    return faults


def _buyer_faults(party: PartyData, split: str) -> list[tuple[str, str]]:
    """Keys that say that a buyer holds something, or nothing in the words of another split."""
    empty = {"labels": (), "shares": 0}
    own = {"labels": "labels", "shares": "share"}.get(split)
    keys = ("labels", "ids", "share", "replicate", "size", "label_noise")
    faults = [
        (key, "does not go with a buyer, who brings no data; leave it or the buyer out")
        for key in keys
        if key in party.model_fields_set
        and not (key == own and getattr(party, key) == empty[split])
    ]
    if "buyer" in party.model_fields_set and not party.buyer:
        faults.append(("buyer", "is false, and what it holds is empty; say one of the two"))
    return faults
