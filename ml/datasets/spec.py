"""What data a round uses and which part each party holds; checked without loading any data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ml.datasets.checks import Checker
from ml.errors import Fault

__all__ = ["DATA_KEYS", "OVERLAPS", "PARTY_KEYS", "SOURCES", "DataSpec", "PartyData", "data_spec"]

SOURCES: dict[str, int | None] = {
    "mnist": 10,
    "digits": 10,
    "imdb": 2,
    "fashion-mnist": 10,
    "cifar10": 10,
    "folder": None,
    "csv": None,
    "parquet": None,
    "huggingface": None,
}
"""Sources and how many classes they have; None if only the data say it."""
WITH_PATH = frozenset({"fashion-mnist", "cifar10", "folder", "csv", "parquet"})
"""Sources that read files of the user's."""
WITH_TARGET = frozenset({"folder", "csv", "parquet", "huggingface"})
OVERLAPS = ("union", "concat")
SPLITS = ("labels", "shares", "dirichlet", "ids", "source")
TASKS = ("classification", "regression")

DATA_KEYS = frozenset(
    {"source", "path", "task", "target", "text", "id", "dataset", "subset", "split", "alpha"}
    | {"overlap", "holdout_share", "test_share", "seed", "vocabulary_size", "max_words"}
)
PARTY_KEYS = frozenset({"labels", "share", "ids", "replicate", "size", "label_noise"})
"""Keys of a ``[[party]]`` table that this package reads; the others belong to the caller."""


@dataclass(frozen=True, slots=True)
class PartyData:
    """What one party holds.

    Depending on the split: the samples of ``labels``, a ``share`` of all, or those listed in the
    file ``ids``; or the same samples as the party named by ``replicate``. Then ``size`` of them
    are drawn (a share up to 1 or a count above; None for all), and ``label_noise`` of those
    get another label.
    """

    name: str
    labels: tuple[int, ...] = ()
    share: float | None = None
    ids: str | None = None
    replicate: str | None = None
    size: float | None = None
    label_noise: float = 0.0


@dataclass(frozen=True, slots=True)
class DataSpec:
    """A checked description of the data; ``load`` turns it into a collaboration.

    ``overlap`` says what a coalition of parties with common samples trains on: each sample once
    ("union") or as often as it is held ("concat"). ``test_share`` of a source without a test set
    of its own is taken from it; ``holdout_share`` of the test set is the holdout, the rest is the
    common validation set. All draws are seeded, and stratified by label where there are labels.
    ``alpha`` is the concentration of the Dirichlet split: a smaller one makes parties less alike.
    ``target``, ``text`` and ``id`` name columns; ``vocabulary_size`` and ``max_words`` are for
    texts.
    """

    source: str
    parties: tuple[PartyData, ...]
    overlap: str = "union"
    holdout_share: float = 0.5
    test_share: float = 0.4
    seed: int = 0
    split: str = "labels"
    alpha: float = 0.5
    task: str = "classification"
    path: str = ""
    target: str = "target"
    text: str = ""
    id: str = ""
    dataset: str = ""
    subset: str = ""
    vocabulary_size: int = 5000
    max_words: int = 256

    @property
    def digest(self) -> str:
        """SHA-256 over all fields, in hexadecimal."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def data_spec(
    mapping: Mapping[str, Any],
    parties: Sequence[Mapping[str, Any]],
    *,
    base: Path | None = None,
) -> DataSpec:
    """The data of a round from the table ``[data]`` and the list of ``[[party]]`` tables.

    Relative paths are taken from ``base``, the folder of the configuration (default: the working
    folder). Keys of a party that are not in `PARTY_KEYS` are left to the caller.

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
    task = data.choice("task", TASKS, "classification")
    split = data.choice("split", SPLITS, default_split(source, parties))
    if task == "regression" and SOURCES[source] is not None:
        data.fault("task", f"regression does not fit {source}, whose targets are labels.")
    if task == "regression" and split in ("labels", "dirichlet"):
        data.fault("split", f'"{split}" needs labels; with regression use shares, ids or source.')
    if (split == "source") != (source == "folder") and source in SOURCES:
        data.fault("split", 'the source "folder" names its parties itself: use "source" with it.')
    spec = DataSpec(
        source,
        (),
        overlap=data.choice("overlap", OVERLAPS, "union"),
        holdout_share=data.number("holdout_share", 0.5, 0.0, 0.9),
        test_share=data.number("test_share", 0.4, 0.05, 0.9),
        seed=data.integer("seed", 0, 0),
        split=split,
        alpha=data.number("alpha", 0.5, 0.0, 1e6, low_open=True),
        task=task,
        path=_path(data, source, base),
        target=data.text("target", "target"),
        text=data.text("text"),
        id=data.text("id"),
        dataset=data.text("dataset"),
        subset=data.text("subset"),
        vocabulary_size=data.integer("vocabulary_size", 5000, 2, 10**6),
        max_words=data.integer("max_words", 256, 1, 10**5),
    )
    if source == "huggingface" and not spec.dataset:
        data.fault("dataset", "missing; expected the name of a data set for source huggingface.")
    spec = replace(spec, parties=_parties(parties, source, split, base, faults))
    data.finish()
    return spec


def default_split(source: str, parties: object) -> str:
    """The split if none is configured; it follows from the source and the parties' keys."""
    if source == "folder":
        return "source"
    tables = parties if isinstance(parties, Sequence) else ()
    keys = {key for party in tables if isinstance(party, Mapping) for key in party}
    if "ids" in keys:
        return "ids"
    if "labels" in keys or (source != "imdb" and SOURCES.get(source) and "share" not in keys):
        return "labels"
    return "shares"


def _path(data: Checker, source: str, base: Path | None) -> str:
    """The source's file or folder, which must exist; empty for a source that has none."""
    given = data.text("path")
    if source not in WITH_PATH:
        if given:
            data.fault("path", f"{source} reads no file of yours; leave it out.")
        return ""
    if not given:
        data.fault("path", f"missing; expected the file or folder of source {source}.")
        return ""
    path = (base or Path.cwd()) / given
    if not path.exists():
        data.fault("path", f"{path} does not exist.")
    return str(path)


def _parties(
    parties: object, source: str, split: str, base: Path | None, faults: list[Fault]
) -> tuple[PartyData, ...]:
    """All parties' shares, checked one by one and against each other."""
    if not isinstance(parties, Sequence) or isinstance(parties, str | bytes):
        faults.append(Fault("party", f"found {parties!r}; expected a list of tables."))
        return ()
    if len(parties) < 2:
        faults.append(Fault("party", f"found {len(parties)} parties; a round needs at least 2."))
    checkers = [Checker(party, f"party[{k}]", faults) for k, party in enumerate(parties)]
    held = tuple(_party(checker, k, source, split, base) for k, checker in enumerate(checkers))
    originals = {party.name for party in held if party.replicate is None}
    for checker, party in zip(checkers, held, strict=True):
        if party.replicate is not None and party.replicate not in originals:
            checker.fault(
                "replicate",
                f'"{party.replicate}" is no party with samples of its own; expected one of '
                f"{', '.join(sorted(originals))}.",
            )
    given = [party.share for party in held if party.replicate is None]
    shares = [share for share in given if share is not None]
    if split == "shares" and shares and len(shares) < len(given):
        faults.append(Fault("party", "some parties have a share and some not; give all or none."))
    elif split == "shares" and sum(shares) > 1 + 1e-9:
        faults.append(Fault("party", f"shares sum to {sum(shares):g}; expected at most 1."))
    return held


def _party(checker: Checker, index: int, source: str, split: str, base: Path | None) -> PartyData:
    """One party's share."""
    table = checker.table
    replicate = checker.text("replicate") if "replicate" in table else None
    wanted = {"labels": "labels", "ids": "ids", "shares": "share"}.get(split)
    for key in ("labels", "ids", "share"):
        if key in table and (key != wanted or replicate is not None):
            why = "a replicated party" if replicate is not None else f'split "{split}"'
            checker.fault(key, f"does not go with {why}; leave it out.")
    return PartyData(
        name=str(table.get("name", index)),
        labels=_labels(checker, source) if wanted == "labels" and replicate is None else (),
        share=checker.number("share", 0.5, 0.0, 1.0, low_open=True) if "share" in table else None,
        ids=_ids(checker, base) if wanted == "ids" and replicate is None else None,
        replicate=replicate,
        size=checker.number("size", 1.0, 0.0, 1e9, low_open=True) if "size" in table else None,
        label_noise=checker.number("label_noise", 0.0, 0.0, 1.0),
    )


def _labels(checker: Checker, source: str) -> tuple[int, ...]:
    """The labels that a party holds, each once and within the data."""
    if "labels" not in checker.table:
        checker.fault("labels", "missing; expected the list of labels that the party holds.")
        return ()
    labels = checker.integers("labels", (0,), 0, distinct=True)
    n_classes = SOURCES[source]
    outside = sorted({label for label in labels if n_classes is not None and label >= n_classes})
    if outside:
        checker.fault(
            "labels",
            f"{', '.join(map(str, outside))} is outside the data; {source} has labels "
            f"0 to {(n_classes or 0) - 1}.",
        )
    return labels


def _ids(checker: Checker, base: Path | None) -> str | None:
    """The file that lists a party's samples, one id a line."""
    given = checker.text("ids")
    path = (base or Path.cwd()) / given
    if not given or not path.is_file():
        checker.fault("ids", f"found {given!r}; expected a file with one sample id a line.")
        return None
    return str(path)
