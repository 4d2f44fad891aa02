"""No recipe and no card runs code that the user of this process has not allowed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml.datasets import data_spec, load
from ml.engines.own_code import OwnCodeError, allowed_modules, function_of_own, network_class
from ml.training import allow_modules, check_training, load_reward, recipe

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def nothing_allowed(own_code, monkeypatch):
    monkeypatch.delenv("FAIRROUND_ALLOWED_MODULES")
    monkeypatch.setenv("FAIRROUND_MODULE_FOLDER", "")
    modules = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(modules):
        if name.startswith("somebodys"):
            del sys.modules[name]


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module on Python's path that leaves a file behind when it is imported."""
    code = f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n"
    code += "from torch import nn\nclass Net(nn.Module): pass\ndef score(o, t): return 1.0\n"
    (tmp_path / "somebodys.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "sprung"


@pytest.fixture(scope="module")
def digits_data():
    parties = [{"labels": [0, 1], "size": 40}, {"labels": [2, 3], "size": 40}]
    return load(data_spec({"source": "digits"}, parties))


@pytest.mark.parametrize(
    "table",
    [
        {"network": "os:system", "arguments": {"command": "touch SPRUNG"}},
        {"network": "subprocess:getoutput", "arguments": {"cmd": "touch SPRUNG"}},
        {"network": "somebodys:Net"},
        {"score": "somebodys:score"},
        {"score": "os:system"},
    ],
)
def test_a_recipe_runs_nothing_that_is_not_allowed(trap, digits_data, table, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OwnCodeError, match="which you have not allowed; nothing of it was run"):
        check_training(digits_data, recipe(table | {"epochs": 1}))
    assert not trap.exists()
    assert not (tmp_path / "SPRUNG").exists()
    assert "somebodys" not in sys.modules


def test_even_an_allowed_name_is_called_only_if_it_is_a_module(digits_data, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    allow_modules("os", "subprocess")
    for path, arguments in (
        ("os:system", {"command": "touch SPRUNG"}),
        ("subprocess:Popen", {"args": "touch SPRUNG", "shell": True}),  # a class, too
    ):
        with pytest.raises(OwnCodeError, match="expected a class that inherits"):
            check_training(digits_data, recipe({"network": path, "arguments": arguments}))
    with pytest.raises(OwnCodeError, match="expected a function that is written in an allowed"):
        function_of_own("os:system", "Score")
    assert not (tmp_path / "SPRUNG").exists()


def test_a_card_runs_nothing_that_is_not_allowed(made, tmp_path, trap):
    _, out, rewards = made
    weights = tmp_path / rewards[0].file
    weights.write_bytes((out / rewards[0].file).read_bytes())
    card = json.loads((out / rewards[0].file).with_suffix(".json").read_bytes())
    card["recipe"] |= {"network": "somebodys:Net"}
    weights.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(OwnCodeError, match="somebodys"):
        load_reward(weights)
    assert not trap.exists()


def test_a_card_of_a_network_of_ours_needs_no_leave(made):
    _, out, rewards = made
    assert load_reward(out / rewards[0].file).card["recipe"]["network"] == "mlp"


def test_a_name_allows_what_is_below_it_and_nothing_beside_it(trap):
    allow_modules("some", "somebodys.nets")
    with pytest.raises(OwnCodeError, match="not allowed"):
        network_class("somebodys:Net")
    allow_modules("somebodys")
    assert network_class("somebodys:Net").__name__ == "Net"
    assert trap.exists()
    assert allowed_modules() == ("some", "somebodys", "somebodys.nets")


def test_a_module_beside_the_round_is_found_once_it_is_allowed(tmp_path):
    (tmp_path / "somebodys_own.py").write_text("from torch import nn\nclass Net(nn.Module): pass\n")
    with pytest.raises(OwnCodeError, match="not allowed"):
        network_class("somebodys_own:Net")
    allow_modules("somebodys_own", folder=tmp_path)
    assert network_class("somebodys_own:Net").__module__ == "somebodys_own"


def test_a_rounds_folder_stands_in_for_no_module_that_is_not_allowed(tmp_path):
    """Libraries ask for modules and do without them: a folder on Python's path would be run."""
    (tmp_path / "cupy.py").write_text("open('SPRUNG', 'w')")
    (tmp_path / "json.py").write_text("open('SPRUNG', 'w')")
    (tmp_path / "somebodys_own.py").write_text(
        "from torch import nn\nclass Net(nn.Module): pass\ntry:\n    import cupy\n"
        "except ImportError:\n    pass\n"
    )
    program = (
        "import os\nfrom pathlib import Path\nfrom ml.engines.own_code import *\n"
        "allow_modules('somebodys_own', folder=Path(os.environ['THERE']))\n"
        "print(network_class('somebodys_own:Net'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT), "THERE": str(tmp_path)},
        cwd=tmp_path.parent,
        capture_output=True,
        text=True,
    )
    assert "somebodys_own.Net" in done.stdout, done.stderr
    assert not list(tmp_path.parent.glob("SPRUNG"))


def test_worker_processes_may_import_what_their_parent_may(digits_data, tmp_path):
    from ml.engines.processes import ProcessEngine
    from ml.training import train_coalitions

    (tmp_path / "somebodys_net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(64, 10)\n"
        "    def forward(self, images):\n"
        "        return self.head(images.flatten(1))\n"
    )
    allow_modules("somebodys_net", folder=tmp_path)
    plan = recipe({"network": "somebodys_net:Net", "epochs": 1})
    found = train_coalitions(
        digits_data, plan, [1, 2], cache=tmp_path / "cache", engine=ProcessEngine(2)
    )
    assert found.n_trained == 2
