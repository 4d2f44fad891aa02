"""`pip install fairround` is enough for all but training; what needs more says what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXTRA = ("torch", "sklearn", "safetensors")

WITHOUT_EXTRAS = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRA!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from settlement.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture
def light(fairround):
    """The command line in processes that cannot import what is for training."""

    def run(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_EXTRAS, *map(str, arguments)],
            cwd=ROOT,
            env=fairround.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def test_rounds_of_given_values_calculator_and_simulator_need_no_torch(light, tmp_path):
    folder = tmp_path / "round"
    light("init", folder, "--template", "three-parties")
    light("check", folder)
    assert "settled by proof" in light("run", folder)
    assert "ok    report" in light("verify", folder)
    light("status", folder)
    (tmp_path / "values.json").write_text('{"parties": ["a", "b"], "values": [0, 0.2, 0.5, 1]}')
    light("calculate", tmp_path / "values.json", "--compare")
    light("init", tmp_path / "many", "--template", "scenario")
    scenario = tmp_path / "many" / "scenario.toml"
    few = scenario.read_text().replace("replicates = 100", "replicates = 2")
    scenario.write_text(few.partition("[[expect]]")[0])
    light("simulate", tmp_path / "many")


@pytest.mark.parametrize("verb", ["check", "data", "train", "run"])
def test_a_verb_that_needs_an_extra_says_so_in_one_line(light, tmp_path, verb):
    light("init", tmp_path, "--template", "digits")
    said = light(verb, tmp_path, code=1).splitlines()[-1]
    assert said.startswith("error: This needs ")
    assert said.endswith("which is not installed: pip install 'fairround[train]'")
    assert not (tmp_path / "train").exists()


def test_a_trained_round_is_verified_without_torch(fairround, light, tmp_path):
    fairround("init", tmp_path, "--template", "digits")
    text = (tmp_path / "round.toml").read_text()
    (tmp_path / "round.toml").write_text(text.replace("epochs = ", "epochs = 1  # "))
    fairround("run", tmp_path)
    assert "ok    model rewards" in light("verify", tmp_path)
    assert "fairround[train]" in light("verify", tmp_path, "--retrain", "1", code=1)


@pytest.mark.parametrize("name", ["ml", "contracts"])
def test_a_foreign_package_of_our_names_on_the_path_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "settlement", "--help"],
        cwd=tmp_path.parent,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert str(tmp_path / name) in done.stderr
    assert "Traceback" not in done.stderr
