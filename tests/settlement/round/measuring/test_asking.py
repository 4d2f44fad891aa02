"""Ask and tell: what is open, what is taken, what is refused by name, and that nothing is lost."""

import json
import signal

import pytest

from settlement.audit.findings import AuditError
from settlement.audit.reported import check_reported
from settlement.config.reading import ConfigError, read_config
from settlement.config.settings import read_settings
from settlement.config.templates import write_template
from settlement.errors import SettlementError
from settlement.round.access import ChainAccess
from settlement.round.measuring.asking import (
    NotTold,
    UnknownJob,
    WrongAnswer,
    questions,
    tell,
)
from settlement.round.measuring.entitled import _ladder, _rung
from settlement.round.measuring.external import (
    AnswersMissing,
    CommandNotAllowed,
    ExternalScores,
    reported_answers,
)
from settlement.round.measuring.measured import measure_round
from settlement.round.round import Round
from settlement.round.status import live_status, status_text
from settlement.store.answers import AnswerBook, OtherAnswers, Told, TwoAnswers
from settlement.store.folder import RoundFolder, sha256_of
from settlement.store.score_range import ScoreOutOfRange
from tests.hostile import resealed

SHA = "a" * 64


@pytest.fixture
def folder(tmp_path):
    write_template(tmp_path / "round", "external")
    return tmp_path / "round"


def edit(folder, old, new):
    path = folder / "round.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def say(folder, *answers, by="me"):
    file = folder / "answers.json"
    file.write_text(json.dumps(list(answers)))
    return tell(folder, file, by)


def score_of(job):
    return len(job["members"]) / 4


def measured(folder):
    config = read_config(folder / "round.toml")
    return measure_round(
        config, ExternalScores(config, AnswerBook(folder)), lambda stage, done, total: None
    )


def test_questions_begin_with_each_party_alone_and_all_together(folder):
    found = questions(folder, 4)
    assert found["open"] == 7
    assert [job["members"] for job in found["jobs"]] == [["a"], ["b"], ["c"], ["a", "b", "c"]]


def test_answers_by_job_or_by_members_close_questions(folder):
    first, second = questions(folder, 2)["jobs"]
    told = say(folder, {"job": first["job"], "score": 0.25}, {"members": ["b"], "score": 0.5})
    assert told == {"told": 2, "new": 2, "open": 5}
    assert second["job"] not in [job["job"] for job in questions(folder, 9)["jobs"]]
    assert say(folder, {"members": ["b"], "score": 0.5}) == {"told": 1, "new": 0, "open": 5}


def test_values_are_what_was_told_from_a_csv_of_any_order(folder):
    rows = ["score, seed, members"]
    rows += [f"{score_of(job)},{job['seed']},{'/'.join(reversed(job['members']))}"
             for job in reversed(questions(folder, 7)["jobs"])]  # fmt: skip
    (folder / "scores.csv").write_text("\n".join(rows))
    assert tell(folder, folder / "scores.csv", "cluster")["open"] == 0
    expected = [c.bit_count() / 4 for c in range(8)]
    assert measured(folder).scores.tolist() == [expected]


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ({"job": "1-0-0123456789abcdef", "score": 0.5}, UnknownJob, "no question of this round"),
        ({"score": 0.5}, UnknownJob, "job None is no question"),
        ({"members": ["a", "z"], "score": 0.5}, UnknownJob, "'z' is no party"),
        ({"members": ["a", "a"], "score": 0.5}, WrongAnswer, "each once"),
        ({"members": [], "score": 0.5}, WrongAnswer, "expected names"),
        ({"members": ["a"], "seed": 7, "score": 0.5}, UnknownJob, "seed 7 is none"),
        (
            {"members": ["a"], "seed": 0.7, "score": 0.5},
            WrongAnswer,
            "seed is 0.7; expected a whole",
        ),
        ({"members": ["a"], "score": 1.5}, ScoreOutOfRange, "a with seed 0 scores 1.5; expected 0"),
        ({"members": ["a"], "score": -0.1}, ScoreOutOfRange, "scores -0.1"),
        ({"members": ["a"], "score": "good"}, WrongAnswer, "score is 'good'"),
        ({"members": ["a"]}, WrongAnswer, "score is None"),
        ({"members": ["a"], "score": 0.5, "mood": 1}, WrongAnswer, "unknown 'mood'"),
        ({"members": ["a"], "score": 0.5, "model_sha256": "x"}, OtherAnswers, "model_sha256"),
        ({"members": ["a"], "score": 0.4}, TwoAnswers, "has the answer 0.3, told by me"),
        ({"members": ["a"], "score": 0.3, "model_sha256": SHA}, TwoAnswers, "with model aaaa"),
    ],
)
def test_a_wrong_answer_is_named_and_takes_no_other_with_it(folder, answer, error, told):
    say(folder, {"members": ["a"], "score": 0.3})
    before = (folder / "answers.jsonl").read_bytes()
    with pytest.raises(error, match=told):
        say(folder, {"members": ["b"], "score": 0.5}, answer, by="somebody")
    assert (folder / "answers.jsonl").read_bytes() == before
    assert questions(folder, 1)["open"] == 6


def test_a_job_of_another_round_is_refused(folder, tmp_path):
    write_template(tmp_path / "other", "external")
    edit(tmp_path / "other", '"trained elsewhere"', '"another round"')
    (job,) = questions(tmp_path / "other", 1)["jobs"]
    with pytest.raises(UnknownJob):
        say(folder, job | {"score": 0.5})


def test_half_a_line_that_a_killed_process_left_is_asked_for_again(folder):
    say(folder, {"members": ["a"], "score": 0.25}, {"members": ["b"], "score": 0.5})
    path = folder / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert questions(folder, 1)["open"] == 6
    say(folder, {"members": ["b"], "score": 0.5})
    assert questions(folder, 1)["open"] == 5
    assert path.read_bytes().count(b"\n") == 2


def test_answers_to_other_questions_are_named_and_not_taken(folder):
    say(folder, {"members": ["a"], "score": 0.25})
    edit(folder, "[0.0, 1.0]", "[0.0, 2.0]")
    with pytest.raises(OtherAnswers, match="answers to other questions"):
        questions(folder, 1)
    edit(folder, "[0.0, 2.0]", "[0.0, 1.0]")
    assert questions(folder, 1)["open"] == 6


def test_a_changed_line_of_answers_is_named(folder):
    say(folder, {"members": ["a"], "score": 0.25})
    path = folder / "answers.jsonl"
    path.write_text(path.read_text().replace('"score":0.25', '"score":"a lot"'))
    with pytest.raises(OtherAnswers, match="line 1"):
        questions(folder, 1)


def test_scores_of_a_stated_range_become_values(folder):
    edit(folder, "[0.0, 1.0]", "[-20.0, 60.0]")
    say(folder, *(job | {"score": 80 * score_of(job) - 20} for job in questions(folder, 7)["jobs"]))
    assert measured(folder).scores.tolist() == [[c.bit_count() / 4 for c in range(8)]]


def test_a_range_in_which_lower_is_better_is_refused_with_the_way_out(folder):
    edit(folder, "[0.0, 1.0]", "[2.3, 0.5]")
    with pytest.raises(ConfigError, match=r"tell its negative: score_range = \[-2.3, -0.5\]"):
        read_config(folder / "round.toml")


def test_an_estimate_asks_only_for_its_sample_batch_after_batch(folder):
    parties = "".join(f'[[party]]\nname = "p{k}"\n' for k in range(8))
    text = (folder / "round.toml").read_text()
    text = text[: text.index("[[party]]")].replace('"exact"', '"estimate"\nevaluations = 30')
    (folder / "round.toml").write_text(text.replace('"above"  ', '"keep"  ') + parties)
    asked = set()
    while jobs := questions(folder, 7)["jobs"]:
        assert asked.isdisjoint(job["job"] for job in jobs)
        asked |= {job["job"] for job in jobs}
        say(folder, *(job | {"score": len(job["members"]) / 8} for job in jobs))
    assert len(asked) == 30
    assert len(measured(folder).coalitions) == 30


def test_a_program_runs_only_where_this_user_allows_it(folder, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    (folder / "measure.sh").write_text("touch sprung\n")
    edit(folder, "seeds = [0] ", 'command = ["sh", "measure.sh"] ')
    with pytest.raises(CommandNotAllowed, match=r"give --allow-command 'sh measure.sh'"):
        measured(folder)
    monkeypatch.setenv("FAIRROUND_ALLOWED_COMMANDS", "sh\nsh measure.sh x\nsh measure")
    with pytest.raises(CommandNotAllowed):
        measured(folder)
    assert not (folder / "sprung").exists()
    with pytest.raises(NotTold, match="run `fairround run`"):
        questions(folder, 1)


def test_a_round_that_trains_here_is_not_asked(tmp_path):
    write_template(tmp_path, "three-parties")
    with pytest.raises(SettlementError, match=r"no table \[external\]"):
        questions(tmp_path, 1)


def test_status_names_those_who_measure_until_all_is_told(folder):
    """Not `train`, which can only say again that it waits."""
    access = ChainAccess(read_settings)
    for n_open in range(7, 0, -1):
        found = live_status(folder, access)
        assert found["phase"] == "measuring"
        assert found["open_questions"] == n_open
        assert found["next"] == {
            "whoever measures": f"fairround ask {folder}",
            "whoever has scores": f"fairround tell {folder} FILE",
        }
        assert f"open questions: {n_open}" in status_text(found)
        (job,) = questions(folder, 1)["jobs"]
        say(folder, job | {"score": score_of(job)})
    found = live_status(folder, access)
    assert found["next"] == {"operator": f"fairround train {folder}"}
    assert "open_questions" not in found


def test_status_of_a_round_whose_program_measures_waits_for_nobody_and_starts_nothing(folder):
    (folder / "measure.sh").write_text("touch sprung\n")
    edit(folder, "seeds = [0] ", 'command = ["sh", "measure.sh"] ')
    found = live_status(folder, ChainAccess(read_settings))
    assert found["next"] == {"operator": f"fairround train {folder}"}
    assert not (folder / "sprung").exists()


def test_the_terms_name_everybody_who_told(folder):
    for by, job in zip("bcabcab", questions(folder, 7)["jobs"], strict=True):
        say(folder, job | {"score": score_of(job)}, by=f"cluster {by}")
    Round(folder).carry_out("train")
    Round(folder).carry_out("open")
    named = json.loads((folder / "open" / "terms.json").read_text())["basis"]["measured_by"]
    assert named == "told by cluster a, cluster b, cluster c"
    check_reported(RoundFolder(folder))


def test_attack_whoever_told_is_not_exchanged_for_another(folder):
    """With a hash that fits the other file: who seals the stage can write that too."""
    say(folder, *(job | {"score": score_of(job)} for job in questions(folder, 7)["jobs"]))
    Round(folder).carry_out("train")

    def somebody_else(partial):
        reported, values = partial / "reported.json", partial / "values.json"
        before = sha256_of(reported)
        reported.write_text(reported.read_text().replace('"by": "me"', '"by": "you"', 1))
        values.write_text(values.read_text().replace(before, sha256_of(reported)))

    store = resealed(folder, "train", somebody_else)
    with pytest.raises(AuditError, match=r"told by me, you; 'told by me' was agreed on"):
        check_reported(store)


@pytest.mark.parametrize("content", ["{}", "[1]", '[{"place": "here"}]', '[{"job": 1}]', "7"])
def test_attack_answers_that_are_none_are_refused_by_name(folder, content):
    """Where the hash fits them, too: a second measurement, and what each may have, read them."""
    say(folder, *(job | {"score": score_of(job)} for job in questions(folder, 7)["jobs"]))
    Round(folder).carry_out("train")
    store = resealed(folder, "train", lambda stage: (stage / "reported.json").write_text(content))
    with pytest.raises(OtherAnswers, match=r"train/reported\.json"):
        reported_answers(store)


@pytest.mark.parametrize("by", ["", "a\nb", "x" * 65])
def test_whoever_tells_has_a_name_that_can_be_read(folder, by):
    with pytest.raises(WrongAnswer, match="Who tells is"):
        say(folder, {"members": ["a"], "score": 0.5}, by=by)
    assert not (folder / "answers.jsonl").exists()


def test_a_round_waits_until_all_is_told(folder):
    with pytest.raises(AnswersMissing, match="7 of 7 scores"):
        measured(folder)


def say_text(folder, text, name="answers.csv"):
    file = folder / name
    file.write_bytes(text.encode())
    return tell(folder, file, "me")


def test_attack_a_seed_beyond_what_floats_tell_apart_is_answered_by_its_own_name(folder):
    first, second = 2**53, 2**53 + 1
    edit(folder, "seeds = [0]", f"seeds = [{first}, {second}]")
    say(folder, {"members": ["c"], "seed": second, "score": 0.5})
    say_text(folder, f"members,seed,score\na,{second},0.25\n")
    asked = {(*job["members"], job["seed"]) for job in questions(folder, 99)["jobs"]}
    assert {("c", first), ("a", first)} <= asked
    assert not {("c", second), ("a", second)} & asked
    for seed in ("0.5", "1e3", '"x"', "true", "1" + "0" * 400 + ".5"):
        with pytest.raises((WrongAnswer, UnknownJob), match="seed"):
            say_text(folder, f'[{{"members": ["b"], "seed": {seed}, "score": 0.5}}]', "x.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("members,seed,score,score\nc,0,0.4,0.3\n", "column 'score' is there twice"),
        ("", "holds no answers"),
        ("members,seed,score\n", "holds no answers"),
        ('"members,seed,score\nc,0,0.4\n', "no CSV"),
        ("members,seed,score\nc,0," + "4" * 140_000 + "\n", "no CSV: field larger"),
        ("members,seed,score\nc,0,1.0000001\n", "answer 1: c with seed 0 scores 1.0000001; exp"),
        ("members,seed,score\nc,0,1" + "0" * 400 + "\n", "score is '1000.*expected a finite"),
    ],
)
def test_attack_a_file_of_which_an_answer_would_be_lost_is_refused(folder, text, said):
    with pytest.raises((WrongAnswer, ScoreOutOfRange), match=said):
        say_text(folder, text)
    assert questions(folder, 9)["open"] == 7


def test_attack_whole_numbers_beyond_all_floats_are_refused_by_name(folder):
    for text in ("[]", '[{"members": ["c"], "score": 1' + "0" * 400 + "}]"):
        with pytest.raises(WrongAnswer, match=r"no answers|finite number"):
            say_text(folder, text, "x.json")


def test_lines_may_end_as_on_any_machine(folder):
    assert say_text(folder, "members,seed,score\rc,0,0.4\rb,0,0.5\r")["new"] == 2


def test_attack_a_full_disk_is_named_with_the_file_and_loses_nothing(folder):
    import resource

    rungs = [{"score": 0.1, "model_sha256": SHA}] * 30
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    say(folder, {"members": ["a"], "score": 0.25})
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    (folder / "b.json").write_text(
        json.dumps([{"members": ["b"], "score": 0.5, "checkpoints": rungs}])
    )
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
        with pytest.raises(OSError, match=r"answers\.jsonl"):
            tell(folder, folder / "b.json", "me")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert questions(folder, 9)["open"] == 6
    assert tell(folder, folder / "b.json", "me")["new"] == 1
    assert questions(folder, 9)["open"] == 5


def test_the_final_model_of_the_grand_coalition_is_the_last_rung(folder):
    scores = {"a": 0.2, "b": 0.5, "c": 0.4, "a/b": 0.6, "a/c": 0.7, "b/c": 0.8}
    rungs = [{"score": 0.3, "model_sha256": "1" * 64}, {"score": 0.7, "model_sha256": "2" * 64}]
    grand = {"members": ["a", "b", "c"], "score": 1.0, "model_sha256": "f" * 64}
    for checkpoints, below in ((rungs, "2" * 64), ([], "a" * 64)):
        answers = [
            {"members": names.split("/"), "score": score, "model_sha256": SHA}
            for names, score in scores.items()
        ]
        told = [
            Told(job="j", seed=0, by="me", **answer)
            for answer in [*answers, grand | {"checkpoints": checkpoints}]
        ]
        ladder = _ladder([told[-1]])
        assert [rung["rung"] for rung in ladder] == [*range(len(checkpoints)), "final"]
        assert ladder[-1] == {"rung": "final", "score": 1.0, "model_sha256": "f" * 64}
        assert _ladder([told[0]])[-1]["rung"] == "final"
        assert ([_rung("own", told[0]), *ladder])[-2]["model_sha256"] == below
    # A last checkpoint that is the final model stands there once; nothing told, no ladder.
    both = grand | {"checkpoints": [*rungs, {"score": 1.0, "model_sha256": "f" * 64}]}
    assert len(_ladder([Told(job="j", seed=0, by="me", **both)])) == 3
    assert _ladder([Told(job="j", seed=0, by="me", members=["a"], score=1.0)]) == []


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("[-1e308, 1e308]", "further above -1e[+]308 than floats reach"),
        ("[0.5, 0.5]", "from 0.5 to 0.5 there is no way"),
        ("[1.0, 0.0]", r"tell its negative: score_range = \[-1, -0\]"),
    ],
)
def test_a_range_without_a_way_through_it_is_refused(folder, stated, said):
    edit(folder, "score_range = [0.0, 1.0]", f"score_range = {stated}")
    with pytest.raises(ConfigError, match=said):
        read_config(folder / "round.toml")
