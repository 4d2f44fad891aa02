"""Every verb: what it says of itself, where it stands, in which forms it prints."""

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from settlement.cli.main import fairround as program

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "settlement/party/README.md")


def verbs(command=program, name=()):
    """All verbs, those below others too, by their words."""
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from verbs(below, (*name, word))
    else:
        yield name, command


VERBS = dict(verbs())


def options_of(verb):
    return {text for option in verb.params for text in option.opts}


def test_there_are_as_many_verbs_as_the_program_lists():
    assert len(VERBS) > 30
    assert ("keys", "new") in VERBS


@pytest.mark.parametrize("name", VERBS, ids=" ".join)
def test_a_verb_has_help_an_example_that_parses_and_json(name):
    verb = VERBS[name]
    assert verb.help
    assert verb.help.splitlines()[0].endswith(".")
    assert {"--json", "--quiet", "--verbose"} <= options_of(verb)
    examples = [
        line.removeprefix("Example: ")
        for line in map(str.strip, verb.help.splitlines())
        if line.startswith("Example: ")
    ]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" >>")[0])
        assert tuple(words[: 1 + len(name)]) == ("fairround", *name)
        context = click.Context(verb)
        verb.make_parser(context).parse_args(words[1 + len(name) :])


@pytest.mark.parametrize("name", VERBS, ids=" ".join)
def test_a_verb_stands_in_the_readme_or_the_page_it_belongs_to(name):
    pages = "".join((ROOT / page).read_text() for page in PAGES)
    assert f"`fairround {name[0]}" in pages
    assert f"{name[-1]}" in pages


def test_a_mistyped_verb_and_option_are_answered_with_the_nearest(fairround):
    assert "Did you mean `verify`?" in fairround("verfy", code=2)
    assert "--party" in fairround("deposit", "x", "--parti", "a", code=2)


@pytest.fixture(scope="module")
def printed(tmp_path_factory, compiled_contracts):
    """What the program prints about a finished round, in this process: output, errors."""
    folder = tmp_path_factory.mktemp("finished") / "round"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRROUND_CACHE", str(compiled_contracts))
        patch.setenv("XDG_CONFIG_HOME", str(folder.parent))

        def run(words):
            arguments = words.replace("DIR", str(folder)).split()
            done = CliRunner().invoke(program, arguments, catch_exceptions=False)
            assert done.exit_code == 0, done.output
            return done.stdout, done.stderr

        run("init DIR")
        assert run("run DIR --quiet")[1] == ""
        yield run


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("show DIR", {"stage", "done"}),
        ("show DIR --tx", {"call", "gas_used"}),
        ("status DIR", {"name", "address", "deposit_units"}),
        ("verify DIR", {"check", "trouble"}),
        ("list DIR", {"folder", "stage", "name"}),
        ("report DIR", {"party", "own value", "deposit", "lambda"}),
        ("keys list", set()),
        ("config", {"setting", "value", "from"}),
        ("quote DIR --party a --budget 0.1", {"payoff", "adjustment_factor"}),
        ("doctor", {"subject", "verdict", "text"}),
    ],
)
def test_a_verb_with_a_table_prints_it_as_csv_and_json(printed, words, columns):
    document = json.loads(printed(f"{words} --format json")[0])
    assert document == json.loads(printed(f"{words} --json")[0])
    text, _ = printed(f"{words} --format csv")
    assert text.startswith("# ")
    rows = list(csv.reader(io.StringIO("".join(text.splitlines(keepends=True)[1:]))))
    assert columns <= set(rows[0] if rows else ())
    assert bool(columns) == (len(rows) > 1)
    assert "tabular" in printed(f"{words} --format latex")[0]


def test_verbose_changes_nothing_on_standard_output(printed):
    assert printed("show DIR -v")[0] == printed("show DIR")[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_of_each_shell(fairround, shell):
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    assert "_FAIRROUND_COMPLETE" in fairround("completion", shell)


def test_bash_completes_verbs_and_options(fairround, tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    entry = tmp_path / "bin" / "fairround"
    entry.parent.mkdir()
    entry.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m settlement "$@"\n')
    entry.chmod(0o755)
    script = """
    eval "$(fairround completion bash)"
    COMP_WORDS=(fairround ver); COMP_CWORD=1; _fairround_completion fairround
    echo "${COMPREPLY[@]}"
    COMPREPLY=(); COMP_WORDS=(fairround deposit --bud); COMP_CWORD=2
    _fairround_completion fairround
    echo "${COMPREPLY[@]}"
    """
    path = f"{entry.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [bash],
        input=script,
        env=fairround.environment | {"PATH": path, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["verify", "--budget"], done.stderr
