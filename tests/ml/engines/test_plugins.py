"""Programs that measure coalitions: each way of failing has its name, and is tried again."""

import json
import sys
import time

import pytest

from ml.engines import EngineSpec, make_engine
from ml.engines.plugins import (
    Job,
    Plugin,
    PluginCrashed,
    PluginHangs,
    PluginSaysGarbage,
    ask_plugin,
    close_plugins,
)

HEAD = "import json, os, sys, time\nfrom pathlib import Path\n"
GOOD = "    print(json.dumps({'score': len(question['members']) / 10}), flush=True)\n"
LOOP = "for line in sys.stdin:\n    question = json.loads(line)\n"


@pytest.fixture
def plugin_of(tmp_path):
    def write(body, *, timeout_s=20.0, retries=0):
        (tmp_path / "plugin.py").write_text(HEAD + body)
        command = (sys.executable, "plugin.py")
        return Plugin(command, str(tmp_path), timeout_s, retries)

    yield write
    close_plugins()


def jobs(count):
    return [Job(f"job{k}", k, tuple("abcdefgh"[: k % 8]), 0) for k in range(1, count + 1)]


def ask(plugin, job):
    (answer,) = ask_plugin(plugin, job)
    return answer


def test_one_process_answers_one_question_after_the_other(plugin_of, tmp_path):
    plugin = plugin_of("open('starts', 'a').write('.')\n" + LOOP + GOOD)
    assert [ask(plugin, job).score for job in jobs(3)] == [0.1, 0.2, 0.3]
    assert (tmp_path / "starts").read_text() == "."


def test_a_program_that_hangs_is_ended_with_all_its_children(plugin_of, tmp_path):
    body = "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
    body += "open('child', 'w').write(str(child.pid))\ntime.sleep(600)\n"
    with pytest.raises(PluginHangs, match=r"did not answer within 3 s"):
        ask(plugin_of(body, timeout_s=3.0), jobs(1)[0])
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        try:
            with open(f"/proc/{child}/stat") as stream:
                if stream.read().split()[2] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} still runs")


def test_a_program_that_crashes_is_named_with_its_last_words(plugin_of):
    with pytest.raises(PluginCrashed, match=r"exit code 1, it said: ZeroDivisionError"):
        ask(plugin_of(LOOP + "    1 / 0\n"), jobs(1)[0])


def test_a_program_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(PluginCrashed, match="does not start: No such file"):
        ask(Plugin(("no-such-program",), str(tmp_path), 1.0, 0), jobs(1)[0])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("hello", "no JSON"),
        ("[0.5]", "no object"),
        ('{"score": "high"}', "no finite number"),
        ('{"score": NaN}', "no finite number"),
        ('{"score": true}', "no finite number"),
        (f'{{"score": 1{"0" * 400}}}', "no finite number"),
        ('{"score": 0.5, "job": "job7"}', "it answers job 'job7'"),
        ('{"score": 0.5, "model_sha256": "abc"}', "not 64 hexadecimal digits"),
        ('{"score": 0.5, "checkpoints": [0.1]}', "no finite number"),
        ('{"score": 0.5, "checkpoints": [{"score": 0.1}]}', "not 64 hexadecimal digits"),
        ('{"score": 0.5, "mood": 1}', "unknown key 'mood'"),
    ],
)
def test_garbage_is_named(plugin_of, line, told):
    with pytest.raises(PluginSaysGarbage, match=told):
        ask(plugin_of(LOOP + f"    print({line!r}, flush=True)\n"), jobs(1)[0])


def test_a_number_beyond_all_floats_is_asked_again_as_any_garbage(plugin_of, tmp_path):
    once = "first = not os.path.exists('started')\nopen('started', 'w').close()\n" + LOOP
    once += "    if first: print('{\"score\": -1' + 400 * '0' + '}', flush=True)\n"
    once += "    else:\n    " + GOOD
    with pytest.raises(PluginSaysGarbage, match="no finite number"):
        ask(plugin_of(once), jobs(1)[0])
    (tmp_path / "started").unlink()
    assert ask(plugin_of(once, retries=1), jobs(1)[0]).score == 0.1


LONG = Job("long", 1, tuple(f"{k}" * 1000 for k in range(100, 200)), 0)
"""A question that no pipe holds at once."""


def test_the_time_limit_holds_for_a_program_that_reads_no_question(plugin_of):
    with pytest.raises(PluginHangs, match="did not answer within 3 s"):
        ask(plugin_of("time.sleep(30)\n", timeout_s=3.0), LONG)


def test_a_question_that_no_pipe_holds_arrives_whole(plugin_of):
    seen = "time.sleep(0.5)\n" + LOOP
    seen += "    n = sum(map(len, question['members']))\n"
    plugin = plugin_of(seen + "    print(json.dumps({'score': n}), flush=True)\n")
    for _ in range(2):
        assert ask(plugin, LONG).score == 300_000


@pytest.mark.parametrize("first", ["", "os.close(0)\n"], ids=["unread", "closed"])
def test_an_answer_of_a_program_that_read_no_question_is_refused(plugin_of, first):
    """It measured nothing that was asked, however well it looks."""
    body = first + "while True:\n    time.sleep(0.3)\n" + TWICE
    with pytest.raises(PluginSaysGarbage, match=r"wrote b'.\"score\": 0.9.' before it had read"):
        ask(plugin_of(body), jobs(1)[0])


def test_an_answer_that_comes_before_its_question_is_whole_is_refused(plugin_of):
    body = "sys.stdin.read(10)\ntime.sleep(0.3)\nif True:\n" + TWICE + "time.sleep(60)\n"
    with pytest.raises(PluginSaysGarbage, match="before it had read"):
        ask(plugin_of(body), LONG)


TWICE = "    print(json.dumps({'score': 0.9}), flush=True)\n"


def test_a_second_answer_is_not_taken_for_that_to_the_next_question(plugin_of):
    """Every score after it would be another coalition's."""
    with pytest.raises(PluginSaysGarbage, match=r"wrote b'.\"score\": 0.9.'; expected one line"):
        ask(
            plugin_of(LOOP + '    print(\'{"score": 0.1}\\n{"score": 0.9}\', flush=True)\n'),
            jobs(1)[0],
        )


def test_a_second_answer_that_comes_late_is_not_taken_for_that_to_the_next_question(plugin_of):
    plugin = plugin_of(LOOP + GOOD + "    time.sleep(1)\n" + TWICE)
    first, second = jobs(2)
    assert ask(plugin, first).score == 0.1
    time.sleep(3)
    with pytest.raises(PluginSaysGarbage, match=r"had already answered, and wrote"):
        ask(plugin, second)


def test_a_program_that_has_ended_is_not_waited_for_though_its_child_keeps_the_pipe(plugin_of):
    body = "import subprocess\nsubprocess.Popen(['sleep', '60'])\nsys.exit(3)\n"
    started = time.monotonic()
    with pytest.raises(PluginCrashed, match="exit code 3"):
        ask(plugin_of(body, timeout_s=50.0), jobs(1)[0])
    assert time.monotonic() - started < 40


def test_last_words_of_a_program_that_ends_are_its_answer(plugin_of):
    answers_once = "line = sys.stdin.readline()\nquestion = json.loads(line)\nif True:\n" + GOOD
    assert ask(plugin_of(answers_once), jobs(1)[0]).score == 0.1


def test_a_program_that_closes_its_output_is_said_to_have_done_so(plugin_of):
    with pytest.raises(PluginCrashed, match="ended: it closed its output"):
        ask(plugin_of("os.close(1)\ntime.sleep(60)\n"), jobs(1)[0])


def test_a_question_is_asked_again_as_often_as_allowed(plugin_of, tmp_path):
    fails_twice = "open('starts', 'a').write('.')\n" + LOOP
    fails_twice += "    if len(open('starts').read()) < 3: sys.exit(7)\n" + GOOD
    with pytest.raises(PluginCrashed, match="exit code 7"):
        ask(plugin_of(fails_twice, retries=1), jobs(1)[0])
    (tmp_path / "starts").unlink()
    assert ask(plugin_of(fails_twice, retries=2), jobs(1)[0]).score == 0.1


def test_a_program_inherits_no_key_and_no_password(plugin_of, monkeypatch):
    for name in ("FAIRROUND_KEY", "FAIRROUND_KEY_A", "FAIRROUND_PASSWORD", "FAIRROUND_ENDPOINT"):
        monkeypatch.setenv(name, "secret")
    seen = "    n = sum('secret' in value for value in os.environ.values())\n"
    plugin = plugin_of(LOOP + seen + "    print(json.dumps({'score': n}), flush=True)\n")
    assert ask(plugin, jobs(1)[0]).score == 0


def test_a_pool_asks_several_programs_at_once_and_gets_every_answer(plugin_of, tmp_path):
    plugin = plugin_of("open('starts', 'a').write('.')\n" + LOOP + GOOD)
    engine = make_engine(EngineSpec(kind="processes", workers=2))
    answers = list(engine.run(ask_plugin, plugin, jobs(6)))
    assert sorted(answer.job.id for answer in answers) == [job.id for job in jobs(6)]
    assert 1 <= len((tmp_path / "starts").read_text()) <= 2


def test_a_function_may_print_and_is_answered_for(tmp_path, monkeypatch):
    (tmp_path / "measuring.py").write_text(
        "def evaluate(members, seed):\n    print('{\"score\": 99}')\n    return len(members) / 4\n"
        "def huge(members, seed):\n    return {'score': 10**400}\n"
    )
    monkeypatch.setenv("FAIRROUND_ALLOWED_MODULES", "measuring")
    monkeypatch.setenv("FAIRROUND_MODULE_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    command = (sys.executable, "-m", "ml.engines.answering", "measuring:evaluate")
    try:
        assert ask(Plugin(command, str(tmp_path), 60.0, 0), jobs(2)[1]).score == 0.5
    finally:
        close_plugins()
    with pytest.raises(PluginSaysGarbage, match="no finite number"):
        ask(Plugin((*command[:-1], "measuring:huge"), str(tmp_path), 60.0, 0), jobs(1)[0])
    monkeypatch.setenv("FAIRROUND_ALLOWED_MODULES", "")
    with pytest.raises(PluginCrashed, match="which you have not allowed"):
        ask(Plugin(command, str(tmp_path), 60.0, 0), jobs(1)[0])
    assert json.dumps(jobs(1)[0].as_dict()) == '{"job": "job1", "members": ["a"], "seed": 0}'
