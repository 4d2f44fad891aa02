"""A file that is written anew is whole at every moment, and nothing is left lying about."""

import os
from pathlib import Path

import pytest

from ml.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]


def test_a_write_that_fails_leaves_the_old_content_and_no_other_file(tmp_path, monkeypatch):
    path = tmp_path / "made" / "kept.json"
    write_atomically(path, b"old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["kept.json"]


def test_content_is_on_the_disk_before_it_gets_the_name_unless_durability_is_declined(
    tmp_path, monkeypatch
):
    order = []
    flush, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("fsync"), flush(descriptor)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    write_atomically(tmp_path / "a", b"1")
    assert order == ["fsync", "replace", "fsync"]
    order.clear()
    write_atomically(tmp_path / "a", b"2", durable=False)
    assert order == ["replace"]
    assert (tmp_path / "a").read_bytes() == b"2"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_may_be_read_by_whom_the_umask_allows(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "page.html", b"1")
        assert os.umask(mask) == mask  # it is as it was
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == mode


def test_only_one_function_replaces_files():
    """`os.replace` and `tempfile` renames stand in ml/files.py alone."""
    users = [
        path.relative_to(ROOT).as_posix()
        for room in ("ml", "settlement")
        for path in sorted((ROOT / room).rglob("*.py"))
        if "os.replace(" in path.read_text() or "os.rename(" in path.read_text()
    ]
    assert users == ["ml/files.py"]
