"""Flower's simulation as the program behind a round; skipped where Flower is not installed.

Flower wants other versions than ours, so the tests take the Python of another environment from
FAIRROUND_FLOWER_PYTHON, if there is one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def flower_python():
    python = os.environ.get("FAIRROUND_FLOWER_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import flwr"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip("Flower is not installed; FAIRROUND_FLOWER_PYTHON names a Python that has it")
    return python


GRID = """
import sys
from types import SimpleNamespace
from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from ml.engines.flower import CoalitionGrid, FederationError

class Whole(Grid):
    sent = []
    run = None
    def set_run(self, run): self.run = run
    def create_message(self, *a, **k): return None
    def get_node_ids(self): return [11, 22, 33, 44]
    def push_messages(self, messages): self.sent += messages; return ["id" for _ in messages]
    def pull_messages(self, message_ids): return []
    def send_and_receive(self, messages, *, timeout=None): self.sent += messages; return []

def to(node): return SimpleNamespace(metadata=SimpleNamespace(dst_node_id=node))

whole = Whole()
grid = CoalitionGrid(whole, [22, 44, 55])
assert list(grid.get_node_ids()) == [22, 44]
assert [node.node_id for node in grid.get_nodes()] == [22, 44]
for send in (grid.push_messages, grid.send_and_receive):
    try:
        send([to(22), to(33)])
    except FederationError as error:
        assert "node 33" in str(error)
    else:
        sys.exit("a message left the coalition")
assert not whole.sent
grid.send_and_receive([to(22), to(44)])
assert len(whole.sent) == 2
"""


def test_a_strategy_sees_and_reaches_the_nodes_of_its_coalition_only(flower_python):
    done = subprocess.run(
        [flower_python, "-c", GRID],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


REWARD = """
import json, sys
from pathlib import Path
sys.path.insert(0, "scripts")
import federation
from ml.engines.flower import reward_between
images, labels = federation.digits(4)
score = lambda arrays: float((federation.probabilities(*arrays, images).argmax(1) == labels).mean())
for bracket in json.loads(Path(sys.argv[2]).read_text())["brackets"]:
    if isinstance(bracket["below"]["rung"], int):
        _, found = reward_between(Path(sys.argv[1]), bracket, score)
        print(abs(found - bracket["target_score"]) <= 1 / len(labels), flush=True)
"""


@pytest.mark.slow
def test_a_federation_of_digits_is_settled_verified_and_rewarded(
    flower_python, fairround, tmp_path
):
    folder = tmp_path / "round"
    folder.mkdir()
    script = ROOT / "scripts" / "federation.py"
    parties = "".join(f'[[party]]\nname = "{name}"\nbudget = 0.05\n' for name in
                      ("north", "east", "south", "west"))  # fmt: skip
    command = [flower_python, str(script)]
    (folder / "round.toml").write_text(
        '[round]\nname = "a federation"\nmonotone = "above"\n'
        f"[external]\ncommand = {json.dumps(command)}\n{parties}"
    )
    fairround.environment["PYTHONPATH"] = str(ROOT)
    allowed = " ".join(command)
    fairround("run", folder, "--allow-command", allowed)
    verified = fairround("verify", folder, "--retrain", 1, "--allow-command", allowed)
    assert "WRONG" not in verified
    assert "ok    scores as told" in verified
    report = json.loads(fairround("report", folder, "--json"))
    assert sum(party["net_position_units"] for party in report["parties"]) == 0
    assert report["transfers"]
    done = subprocess.run(
        [flower_python, "-c", REWARD, folder / "checkpoints", folder / "report" / "report.json"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split(), done.stderr
    assert set(done.stdout.split()) == {"True"}
