from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain.errors import JournalFault, JournalLocked, ReadOnlyChain
from settlement.chain.journal import JOURNAL_NAME, Journal, read_journal


def write_three(folder):
    with Journal(folder) as journal:
        journal.append("genesis", {"timestamp": 1_700_000_000})
        journal.append("send", {"label": "settle", "raw": "02f8"})
        journal.append("receipt", {"label": "settle", "gas_used": 70123})
    return folder / JOURNAL_NAME


def test_journal_reads_back_what_was_written(tmp_path):
    record = read_journal(write_three(tmp_path))
    assert [entry.kind for entry in record.entries] == ["genesis", "send", "receipt"]
    assert record.entries[2]["gas_used"] == 70123
    assert record.torn_bytes == 0


def test_journal_goes_on_where_it_was_left(tmp_path):
    path = write_three(tmp_path)
    before = read_journal(path)
    with Journal(tmp_path) as journal:
        assert journal.digest == before.digest
        journal.append("clock", {"timestamp": 1_700_000_100})
    assert [entry.line for entry in read_journal(path).entries] == [1, 2, 3, 4]


def test_journal_names_the_line_of_a_changed_digit(tmp_path):
    path = write_three(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"70123", b"70124"))
    with pytest.raises(JournalFault, match=r"line 3: digest [0-9a-f]{64} written, [0-9a-f]{64}"):
        read_journal(path)


@given(data=st.data())
def test_journal_never_accepts_a_changed_byte(tmp_path_factory, data):
    content = write_three(tmp_path_factory.mktemp("round")).read_bytes()
    place = data.draw(st.integers(0, len(content) - 2))  # all but the last newline
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    path = tmp_path_factory.mktemp("changed") / JOURNAL_NAME
    path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
    with pytest.raises(JournalFault) as fault:
        read_journal(path)
    assert fault.value.line == content[:place].count(b"\n") + 1


@pytest.mark.parametrize("order", [(0, 2), (1, 2), (0, 2, 1), (0, 0, 1, 2)])
def test_journal_refuses_lines_left_out_moved_or_repeated(tmp_path, order):
    path = write_three(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[index] for index in order))
    with pytest.raises(JournalFault):
        read_journal(path)


@given(keep=st.integers(0, 10_000))
def test_journal_drops_a_torn_last_line_and_says_so(tmp_path_factory, keep):
    folder = tmp_path_factory.mktemp("round")
    path = write_three(folder)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    kept = last + keep % (len(whole) - last)  # 0 bytes of it up to all but its newline
    path.write_bytes(whole[:kept])
    assert read_journal(path).torn_bytes == kept - last
    assert path.read_bytes() == whole[:kept]  # reading repairs nothing
    with Journal(folder) as journal:
        assert [entry.kind for entry in journal.entries] == ["genesis", "send"]
        journal.append("receipt", {"label": "settle", "gas_used": 70123})
    assert path.read_bytes() == whole


def test_journal_warns_about_a_torn_line(tmp_path, caplog):
    path = write_three(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    with caplog.at_level(logging.WARNING), Journal(tmp_path):
        pass
    assert "dropped an unfinished line 3" in caplog.text


def test_journal_of_no_whole_line_is_a_new_one(tmp_path):
    (tmp_path / JOURNAL_NAME).write_bytes(b'{"accounts":["oper')
    with Journal(tmp_path) as journal:
        assert journal.entries == ()


def test_journal_refuses_a_second_writer_in_this_process_and_in_another(tmp_path):
    write_three(tmp_path)
    other = (
        "import sys; from pathlib import Path; from settlement.chain.journal import Journal\n"
        "from settlement.chain.errors import JournalLocked\n"
        "try: Journal(Path(sys.argv[1]))\n"
        "except JournalLocked as error: print(error); sys.exit(7)\n"
    )
    with Journal(tmp_path):
        with pytest.raises(JournalLocked, match="in use by another process"):
            Journal(tmp_path)
        done = subprocess.run(
            [sys.executable, "-c", other, str(tmp_path)], capture_output=True, text=True
        )
        assert (done.returncode, "in use by another process" in done.stdout) == (7, True)
    Journal(tmp_path).close()


def test_journal_for_reading_needs_no_lock_and_writes_nothing(tmp_path):
    path = write_three(tmp_path)
    with (
        Journal(tmp_path),
        Journal(tmp_path, read_only=True) as reader,
        pytest.raises(ReadOnlyChain),
    ):
        reader.append("clock", {"timestamp": 1})
    assert len(read_journal(path).entries) == 3


def test_journal_for_reading_must_be_there(tmp_path):
    with pytest.raises(JournalFault, match="there is no journal"):
        Journal(tmp_path, read_only=True)


def test_journal_begins_with_its_genesis(tmp_path):
    with Journal(tmp_path) as journal:
        journal.append("send", {"label": "settle"})
    with pytest.raises(JournalFault, match="kind 'send' has no place on this line"):
        read_journal(tmp_path / JOURNAL_NAME)
