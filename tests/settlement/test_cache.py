"""Where what took time to make is kept, and how much of it."""

from pathlib import Path

import pytest

from settlement.cache import cache_folder, cache_limit_bytes


@pytest.mark.parametrize(
    ("chosen", "expected"), [("", 4096), ("10", 10), ("0", 0), ("-1", 4096), ("much", 4096)]
)
def test_the_limit_is_a_whole_number_of_mib_or_4_gib(monkeypatch, chosen, expected):
    monkeypatch.setenv("FAIRROUND_CACHE_MIB", chosen)
    assert cache_limit_bytes() == expected * 2**20


def test_the_folder_is_the_users_unless_another_one_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FAIRROUND_CACHE", str(tmp_path))
    assert cache_folder("models") == tmp_path / "models"
    monkeypatch.delenv("FAIRROUND_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder("models") == tmp_path / "x" / "fairround" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("models") == Path.home() / ".cache" / "fairround" / "models"
