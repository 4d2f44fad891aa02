"""A round on one's own tables, with a network and a score of one's own, from Python.

    python scripts/examples/own_data.py FOLDER

Writes tables of three made-up clinics into FOLDER, beside a module with network and score.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

from ml.training import allow_modules, load_reward
from settlement import Round
from settlement.config.templates import write_template

OWN_CODE = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 2)

    def forward(self, rows):
        return self.head(rows)


def sensitivity(outputs, targets):
    ill = targets == 1
    return float((outputs[ill].argmax(1) == 1).mean())
"""


def write_clinic(path: Path, n_rows: int, chance: random.Random) -> None:
    """A csv file of patients; columns go by name, so their order does not matter."""
    columns = ["age", "sugar", "target"]
    chance.shuffle(columns)
    lines = [",".join(columns)]
    for _ in range(n_rows):
        row = {"age": chance.gauss(0, 1), "sugar": chance.gauss(0, 1)}
        row["target"] = int(row["age"] + row["sugar"] > 0)
        lines.append(",".join(f"{row[name]:.4g}" for name in columns))
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")


def main(folder: Path) -> None:
    """Write the files, carry out the round, use a model."""
    chance = random.Random(0)
    config = write_template(folder, "csv")
    for name, n_rows in (("north", 40), ("south", 60), ("east", 80)):
        write_clinic(folder / "data" / "parties" / name / "patients.csv", n_rows, chance)
    write_clinic(folder / "data" / "validation" / "patients.csv", 200, chance)
    (folder / "clinic_net.py").write_text(OWN_CODE)
    own = 'network = "clinic_net:Net"\nscore = "clinic_net:sensitivity"'
    config.write_text(config.read_text().replace('network = "mlp"\nhidden = [32]', own))

    # No round's file allows code; whoever runs it does.
    allow_modules("clinic_net", folder=folder)
    round_ = Round(folder)
    round_.run()
    print(round_)
    print(round_.to_frame()[["deposit_units", "adjustment_factor", "net_position_units"]])
    reward = round_.result("reward")["rewards"][0]
    model = load_reward(folder / "reward" / reward["file"])
    print(model.predict(np.array([[1.5, 0.5], [-1.0, -1.0]], np.float32)).classes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
