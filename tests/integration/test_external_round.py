"""Whole rounds whose models are trained elsewhere: settled in the escrow and verified."""

import json
import time

import pytest

HEAD = '[round]\nname = "elsewhere"\nmonotone = "refuse"\n[external]\n'
PARTIES = "".join(f'[[party]]\nname = "{name}"\nbudget = {b}\n' for name, b in
                  (("a", 0.2), ("b", '"unlimited"'), ("c", '"unlimited"')))  # fmt: skip
VALUES = {"a": 0.2, "b": 0.5, "ab": 0.6, "c": 0.4, "ac": 0.7, "bc": 0.8, "abc": 1.0}

SCRIPT = """
while read -r question; do
  echo "$question" >> asked.log
  case "$question" in
    *'["a", "b", "c"]'*) score=1.0;;
    *'["a", "b"]'*) score=0.6;;
    *'["a", "c"]'*) score=0.7;;
    *'["b", "c"]'*) score=0.8;;
    *'["a"]'*) score=0.2;;
    *'["b"]'*) score=0.5;;
    *'["c"]'*) score=0.4;;
  esac
  test -e slow && sleep 600
  if [ "$(wc -l < asked.log)" -ge 3 ] && [ -e pause ]; then touch slow; fi
  echo "{\\"score\\": $score}"
done
"""
COMMAND = "sh measure.sh"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "round"
    folder.mkdir()
    (folder / "measure.sh").write_text(SCRIPT)
    return folder


def settles_as_the_three_parties(fairround, folder, *flags):
    report = json.loads(fairround("report", folder, "--json"))
    nets = [party["net_position_units"] for party in report["parties"]]
    assert nets == [-200_000, 112_500, 87_500]
    verified = fairround("verify", folder, *flags)
    assert "WRONG" not in verified
    assert "ok    scores as told" in verified
    return report, verified


def test_a_shell_script_measures_a_round_that_is_killed_and_goes_on(fairround, folder):
    (folder / "round.toml").write_text(
        HEAD + f'command = ["sh", "measure.sh"]\ntimeout_s = 300\n{PARTIES}'
    )
    refused = fairround("run", folder, code=1)
    assert "--allow-command 'sh measure.sh'" in refused
    assert not (folder / "asked.log").exists()
    (folder / "pause").touch()
    running = fairround.start("run", folder, "--allow-command", COMMAND)
    for _ in range(1200):
        if (folder / "slow").exists() and (folder / "asked.log").read_text().count("\n") >= 4:
            break
        time.sleep(0.1)
    running.kill()
    running.communicate()
    kept = (folder / "answers.jsonl").read_text().count("\n")
    assert kept == 3
    (folder / "pause").unlink()
    (folder / "slow").unlink()
    fairround("run", folder, "--allow-command", COMMAND)
    asked = [json.loads(line)["job"] for line in (folder / "asked.log").read_text().splitlines()]
    assert len(set(asked)) == 7
    assert len(asked) == 8  # only the one under way is asked again
    _, verified = settles_as_the_three_parties(
        fairround, folder, "--retrain", 1, "--allow-command", COMMAND
    )
    assert "5 of 7 coalitions trained again" in verified
    # A program that says something else now is another program.
    (folder / "measure.sh").write_text(SCRIPT.replace("score=0.2", "score=0.9"))
    found = fairround("verify", folder, "--retrain", 0, "--allow-command", COMMAND, code=1)
    assert "is not what the scores were measured with" in found or "other questions" in found


def test_people_tell_scores_with_checkpoints_and_the_process_dies_in_between(fairround, folder):
    text = HEAD + "score_range = [10.0, 20.0]\n" + PARTIES
    (folder / "round.toml").write_text(text)
    assert "7 of 7 scores" in fairround("run", folder, code=3)
    told = 0
    while jobs := json.loads(fairround("ask", folder, "--next", 3, "--json"))["jobs"]:
        answers = [job | {"score": 10 + 10 * VALUES["".join(job["members"])]} for job in jobs]
        for answer in answers:
            answer["model_sha256"] = f"{told:064x}"
            if len(answer["members"]) == 3:
                rungs = [(13.0, "1"), (17.0, "2"), (19.0, "3"), (20.0, "4")]
                answer["checkpoints"] = [
                    {"score": score, "model_sha256": digit * 64} for score, digit in rungs
                ]
        file = folder / "told.json"
        file.write_text(json.dumps(answers))
        telling = fairround.start("tell", folder, file, "--by", "cluster")
        if told == 0:
            time.sleep(0.3)
            telling.kill()
        telling.communicate()
        fairround("tell", folder, file, "--by", "cluster")
        told += 1
    fairround("run", folder)
    report, _ = settles_as_the_three_parties(fairround, folder)
    first = report["brackets"][0]
    assert first["target_score"] == pytest.approx(18.0)
    assert (first["below"]["rung"], first["above"]["rung"]) == (1, 2)
    assert first["share"] == pytest.approx(0.5)
    text = (folder / "report" / "report.txt").read_text()
    assert "from 10 (value 0) to 20 (value 1)" in text
    assert "50% from checkpoint 1 (17) to checkpoint 2 (19)" in text
    again = fairround("verify", folder, "--retrain", 0, code=1)
    assert "there is no function or program to ask again" in again
    assert "fairround verify DIR --again FILE" in again
    measured_a_second_time(fairround, folder)
    terms = json.loads((folder / "open" / "terms.json").read_text())
    assert terms["basis"]["measured_by"] == "told by cluster"
    # Whoever changes what was told, and seals it again, is found by the hash in the terms.
    reported = folder / "train" / "reported.json"
    reported.write_text(reported.read_text().replace('"score": 12.0', '"score": 19.0'))
    assert "WRONG files of train" in fairround("verify", folder, code=1)


def measured_a_second_time(fairround, folder):
    """Whoever doubts what "cluster" told draws, has it measured elsewhere, and compares."""
    drawn = json.loads(fairround("ask", folder, "--again", 1, "--json"))["jobs"]
    assert len(drawn) == 5
    assert {"".join(job["members"]) for job in drawn} >= {"a", "b", "c", "abc"}
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    file = folder.parent / "again.json"

    def compared(*flags, **changed):
        scores = {name: 10 + 10 * value for name, value in VALUES.items()} | changed
        answers = [job | {"score": scores["".join(job["members"])]} for job in drawn]
        file.write_text(json.dumps(answers))
        return fairround("verify", folder, "--again", file, *flags, code=1 if changed else 0)

    found = compared()
    assert "5 of 7 coalitions told again" in found
    assert "1 of the 3 others), scores within 0.0000" in found
    assert "not checked: whether" not in found
    found = compared(a=12.06)
    assert "WRONG" in found
    assert "a with seed 0 scores 12.06, not 12 as cluster told" in found
    file.write_text(json.dumps([{"members": ["a"], "score": 12.04}]))
    assert "1 of 7 coalitions told again" in fairround("verify", folder, "--again", file)
    found = fairround("verify", folder, "--again", file, "--within", 0.001, code=1)
    assert "scores 12.04, not 12" in found
    for answers, trouble in (
        ([], "holds no answers"),
        ([{"members": ["a"], "seed": 3, "score": 12}], "seed 3 is none"),
        ([{"members": ["a"], "score": 22}], "scores 22"),
    ):
        file.write_text(json.dumps(answers))
        assert trouble in fairround("verify", folder, "--again", file, code=1)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert "--again FILE" in fairround("tell", folder, file, code=1)
    assert "expected 0 to 3" in fairround("ask", folder, "--again", 4, code=1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("sleep 600", "did not answer within 2 s"),
        ("echo score is 1", "wrote b'score is 1'"),
        ("exit 4", "exit code 4"),
        ("""echo '{"score": 7}'""", "scores 7.0; expected 0.0"),
    ],
)
def test_a_program_that_goes_wrong_is_named_and_loses_nothing(fairround, folder, body, told):
    text = HEAD + f'command = ["sh", "measure.sh"]\ntimeout_s = 2\nretries = 0\n{PARTIES}'
    (folder / "round.toml").write_text(text)
    good = SCRIPT.replace(
        "case", f'if [ "$(wc -l < asked.log)" -gt 2 ]; then {body}; continue; fi; case', 1
    )
    (folder / "measure.sh").write_text(good)
    found = fairround("train", folder, "--allow-command", COMMAND, code=1)
    assert told in found
    assert (folder / "answers.jsonl").read_text().count("\n") == 2
    assert not (folder / "train").exists()
    assert "seed 0" in found


def test_a_function_beside_the_round_is_asked_by_a_pool_once_it_is_allowed(fairround, folder):
    text = HEAD + 'evaluate = "measuring:evaluate"\n[engine]\nkind = "processes"\nworkers = 2\n'
    (folder / "round.toml").write_text(text + PARTIES)
    (folder / "measuring.py").write_text(
        f"VALUES = {VALUES}\n"
        "def evaluate(members, seed):\n    print('working')\n    return VALUES[''.join(members)]\n"
    )
    assert "which you have not allowed" in fairround("run", folder, code=1)
    fairround("run", folder, "--allow-module", "measuring")
    settles_as_the_three_parties(fairround, folder, "--retrain", 3, "--allow-module", "measuring")
