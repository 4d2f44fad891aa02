"""Where what took time to make is kept, and how much of it."""

from pathlib import Path

import pytest

from settlement.cache import CacheLimitUnreadable, cache_folder, cache_limit_bytes


@pytest.mark.parametrize(("chosen", "expected"), [("", 4096), ("10", 10), ("0", 0)])
def test_the_limit_is_a_whole_number_of_mib_or_4_gib(monkeypatch, chosen, expected):
    monkeypatch.setenv("FAIRROUND_CACHE_MIB", chosen)
    assert cache_limit_bytes() == expected * 2**20


@pytest.mark.parametrize("chosen", ["-1", "much", "1.5", "1" * 30, "\u0663"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, chosen):
    monkeypatch.setenv("FAIRROUND_CACHE_MIB", chosen)
    with pytest.raises(CacheLimitUnreadable, match="expected a whole number of MiB"):
        cache_limit_bytes()


def test_the_folder_is_the_users_unless_another_one_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FAIRROUND_CACHE", str(tmp_path))
    assert cache_folder("models") == tmp_path / "models"
    monkeypatch.delenv("FAIRROUND_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder("models") == tmp_path / "x" / "fairround" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("models") == Path.home() / ".cache" / "fairround" / "models"
