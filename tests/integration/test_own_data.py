"""A new user's own tables and own code, from `init` to predictions, by the command line."""

import json

import numpy as np
import pytest

PARTIES = ("north", "south", "east")
ORDERS = (
    ("age", "sugar", "pressure", "target"),
    ("target", "pressure", "age", "sugar"),
    ("pressure", "target", "sugar", "age"),
)


def patients(path, seed, order, rows=50):
    generator = np.random.default_rng(seed)
    cells = {
        "age": generator.normal(50, 15, rows),
        "sugar": generator.normal(5, 1, rows),
        "pressure": generator.normal(120, 20, rows),
    }
    cells["target"] = (cells["age"] + 20 * cells["sugar"] > 150).astype(int)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(order)]
    lines += [",".join(str(cells[name][k]) for name in order) for k in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def clinics(fairround, tmp_path):
    """What a new user has after `init` and copying three clinics' files."""
    folder = tmp_path / "clinics"
    fairround("init", folder, "--template", "csv")
    for seed, (name, order) in enumerate(zip(PARTIES, ORDERS, strict=True)):
        patients(folder / "data" / "parties" / name / "patients.csv", seed, order)
    patients(folder / "data" / "validation" / "patients.csv", 9, ORDERS[1])
    text = (folder / "round.toml").read_text()
    (folder / "round.toml").write_text(text.replace("epochs = 30", "epochs = 5"))
    return folder


def test_three_clinics_with_shuffled_columns_reach_a_settled_round(fairround, clinics, tmp_path):
    told = json.loads(fairround("data", clinics, "--json"))
    assert told["columns"] == ["age", "pressure", "sugar"]
    assert [party["samples"] for party in told["parties"]] == [50, 50, 50]
    assert "network mlp and score accuracy fit the data" in fairround("check", clinics)
    result = json.loads(fairround("run", clinics, "--json"))
    assert len(result["parties"]) == 3
    fairround("verify", clinics)
    found = [
        fairround("predict", clinics, "--party", "south", path, "--json")
        for path in (
            patients(tmp_path / "a.csv", 4, ("age", "sugar", "pressure"), rows=5),
            patients(tmp_path / "b.csv", 4, ("pressure", "age", "sugar"), rows=5),
        )
    ]
    assert found[0] == found[1]
    wrong = patients(tmp_path / "c.csv", 4, ("pressure", "age", "target"), rows=5)
    refusal = fairround("predict", clinics, "--party", "south", wrong, code=1)
    assert "sugar" in refusal
    assert "Traceback" not in refusal


NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)
    def forward(self, rows):
        return self.head(rows)
"""


def test_code_beside_a_round_runs_only_for_whom_it_is_allowed(fairround, clinics, tmp_path):
    """A network of "os:system" ran a shell command during a party's deposit."""
    (clinics / "clinic_net.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{NET}")
    path = clinics / "round.toml"
    text = path.read_text()
    path.write_text(text.replace('network = "mlp"', 'network = "clinic_net:Net"'))
    for verb in ("check", "run"):
        refusal = fairround(verb, clinics, code=1).replace("\n", " ")
        assert 'code of the module "clinic_net", which you have not allowed' in refusal
        assert not (tmp_path / "ran").exists()
    assert "clinic_net:Net" in fairround("check", clinics, "--allow-module", "clinic_net")
    assert (tmp_path / "ran").exists()
    settings = tmp_path / "config" / "fairround" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('allowed_modules = ["clinic_net"]\n')
    fairround("run", clinics)


def test_a_command_as_a_network_is_never_called(fairround, clinics, tmp_path):
    path = clinics / "round.toml"
    line = f'network = "os:system"\narguments = {{ command = "touch {tmp_path}/ran" }}'
    path.write_text(path.read_text().replace('network = "mlp"', line))
    assert "not allowed" in fairround("check", clinics, code=1).replace("\n", " ")
    refusal = fairround("check", clinics, "--allow-module", "os", code=1).replace("\n", " ")
    assert "expected a class that inherits torch.nn.Module" in refusal
    assert not (tmp_path / "ran").exists()
