"""A round from Python, as a person in a notebook meets it."""

import shutil
import sys

import pytest

import ml.training
import settlement
from settlement import Round
from settlement.config.templates import write_template


@pytest.fixture
def folder(tmp_path, compiled_contracts, monkeypatch):
    monkeypatch.setenv("FAIRROUND_CACHE", str(compiled_contracts))
    write_template(tmp_path / "first", "three-parties")
    return tmp_path / "first"


def test_a_round_runs_from_the_text_of_its_path_and_says_how_far_it_is(folder):
    pandas = pytest.importorskip("pandas")
    round_ = Round(str(folder))
    assert repr(round_) == f"Round({str(folder)!r}, new)"
    round_.run()
    assert repr(round_) == f"Round({str(folder)!r}, report)"
    frame = round_.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.index) == ["a", "b", "c"]
    assert frame.loc["a", "net_position_units"] == -200_000
    assert frame["net_position_units"].sum() == 0


def test_without_pandas_a_table_says_what_to_install(folder, monkeypatch):
    from settlement.round.round import PandasMissing

    round_ = Round(folder)
    round_.run()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PandasMissing, match="pip install pandas"):
        round_.to_frame()


def test_completion_sees_names_that_load_on_first_use():
    assert "Round" in dir(settlement)
    assert {"load_reward", "train_coalitions", "allow_modules"} <= set(dir(ml.training))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        settlement.Nothing  # noqa: B018 - reading it is the test


def test_a_finished_round_is_read_where_no_lock_can_be_taken(folder):
    """As in a folder that may only be read; one that is not finished says which file it wants."""
    Round(folder).run()
    (folder / ".lock").unlink()
    (folder / ".lock").mkdir()  # nobody, root neither, opens that for writing
    round_ = Round(folder)
    round_.run()
    assert not round_.carry_out("settle")
    assert "settled by proof" in round_.summary()
    shutil.rmtree(folder / "report")
    with pytest.raises(OSError, match=r"\.lock"):
        round_.run()
