"""Files that somebody else wrote are read within limits, or refused by name."""

import pytest

from ml.reading import MAX_DEPTH, UnreadableFile, parse_json, read_json, read_toml


def test_a_file_of_the_largest_size_is_read_and_a_larger_one_is_not(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('"' + "x" * 98 + '"')
    assert read_json(path, 100) == "x" * 98
    with pytest.raises(UnreadableFile, match="larger than 99 bytes"):
        read_json(path, 99)
    (tmp_path / "a.toml").write_text(f"a = '{'x' * 95}'")
    with pytest.raises(UnreadableFile, match="larger than 99 bytes"):
        read_toml(tmp_path / "a.toml", limit_bytes=99)


def test_lists_of_the_greatest_depth_are_read_and_deeper_ones_are_not():
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json(deepest, "it")
    with pytest.raises(UnreadableFile, match=f"it is nested deeper than {MAX_DEPTH}"):
        parse_json(f"[{deepest}]", "it")


def test_brackets_in_texts_are_no_depth():
    text = '["' + "[{" * 1_000 + r"\"" + '", "]"]'
    assert len(parse_json(text, "it")) == 2


def test_many_short_lists_are_no_depth():
    assert len(parse_json("[" + "[0]," * 1_000 + "[]]", "it")) == 1_001


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]'])
def test_a_key_that_is_there_twice_is_refused(text):
    with pytest.raises(UnreadableFile, match="the key 'a' is there twice"):
        parse_json(text, "it")


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"[1,]", b"[[[[", b'"' + b"[" * 10**6])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(UnreadableFile, match=r"^it is no"):
        parse_json(content, "it")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match=r"none.json cannot be read: No such file"):
        read_json(tmp_path / "none.json")
