#!/usr/bin/env python3
"""Play rounds among an operator and four hospitals on a real node; count commands, files and money.

    python scripts/hospitals.py [--in FOLDER] [COURSE ...]    # all courses, if none is named

Each of the five has a home folder, a key and an environment of its own, and each of its commands is
a process of its own. Nothing passes between them but packages and lines of text. Wants anvil
(scripts/install_anvil.py). Exit code 1 if a hospital needed more than five commands or two files,
or if any money is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HOSPITALS = ("north", "south", "east", "west")
BUDGETS = {"north": "0.1", "south": "50000 units", "east": "unlimited", "west": "0.02"}
MOST_COMMANDS, MOST_FILES = 5, 2
FUNDING_S, SETTLEMENT_S = 3_600, 86_400


@dataclass(frozen=True)
class Course:
    """What happens in one round."""

    settlement: str
    operator_stays: bool = True
    without_deposit: str | None = None
    without_signature: str | None = None


COURSES = {
    "proof": Course("proof", without_deposit="west"),
    "signatures": Course("signatures", without_deposit="west"),
    "proof-operator-gone": Course("proof", operator_stays=False, without_deposit="west"),
    "signatures-operator-gone": Course("signatures", operator_stays=False, without_deposit="west"),
    "one-never-signs": Course("signatures", operator_stays=False, without_signature="south"),
}


class Node:
    """What anvil is asked, and told about its clock."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def ask(self, method: str, *parameters: Any) -> Any:
        """Reply of the node."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        request = urllib.request.Request(
            self.endpoint, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            found = json.load(reply)
        if "error" in found:
            raise RuntimeError(f"{method}: {found['error']}")
        return found["result"]

    def balance(self, address: str) -> int:
        """Wei of an account."""
        return int(self.ask("eth_getBalance", address, "latest"), 16)

    def head(self) -> int:
        """Number of the newest block."""
        return int(self.ask("eth_blockNumber"), 16)

    def later(self, seconds: int) -> None:
        """Let the clock go on."""
        self.ask("evm_increaseTime", seconds)
        self.ask("evm_mine")

    def fees_wei(self, since: int) -> dict[str, int]:
        """What each account has paid for gas in the blocks after a number."""
        paid: dict[str, int] = {}
        for number in range(since + 1, self.head() + 1):
            for receipt in self.ask("eth_getBlockReceipts", hex(number)):
                fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
                sender = receipt["from"].lower()
                paid[sender] = paid.get(sender, 0) + fee
        return paid


@contextmanager
def running_anvil() -> Iterator[Node]:
    """A fresh node on a free port of this machine."""
    kept = str(ROOT / ".tools" / "node_modules" / ".bin" / "anvil")
    places = (os.environ.get("FAIRROUND_ANVIL"), kept, shutil.which("anvil"))
    program = next((place for place in places if place and Path(place).exists()), None)
    if program is None:
        sys.exit("anvil is not installed; run scripts/install_anvil.py first.")
    process = subprocess.Popen(
        [program, "--port=0", "--hardfork=prague", "--chain-id=31337"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # npm's anvil is a wrapper: stop it with its child
    )
    assert process.stdout is not None
    with ThreadPoolExecutor(1) as pool:
        try:
            line = next(line for line in process.stdout if line.startswith("Listening on"))
            pool.submit(process.stdout.read)  # or the node stops when the pipe is full
            yield Node(f"http://{line.split()[-1]}")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Person:
    """One of the five: runs commands with nothing of anybody else, and counts them."""

    def __init__(self, name: str, home: Path, endpoint: str) -> None:
        self.name, self.home, self.round = name, home, home / "round"
        self.commands: list[str] = []
        self.files: list[str] = []
        home.mkdir(parents=True)
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "FAIRROUND_ENDPOINT": endpoint,
            "FAIRROUND_PASSWORD": f"the password of {name}",
            "OMP_NUM_THREADS": "1",
        }
        self.address = self("keys", "new", name)["address"]

    def __call__(self, *arguments: object) -> Any:
        """Result of a command, as it prints it with --json."""
        self.commands.append(" ".join(map(str, arguments[: 2 if arguments[0] == "keys" else 1])))
        done = subprocess.run(
            [sys.executable, "-m", "settlement", *map(str, arguments), "--json"],
            cwd=self.home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: fairround {arguments}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def take(self, package: Path) -> None:
        """Unpack a file that somebody has sent."""
        shutil.copy(package, self.home / package.name)
        self.files.append(package.name)
        self("collect", self.round, self.home / package.name)


def tables_of_patients(folder: Path) -> None:
    """Made-up patients: each hospital has its own order of columns, all see the same illness."""
    chance = random.Random(0)
    columns = ["age", "pressure", "sugar", "target"]
    sizes = dict(zip((*HOSPITALS, "validation"), (40, 60, 90, 30, 200), strict=True))
    for name, size in sizes.items():
        order = chance.sample(columns, len(columns))
        place = folder / ("" if name == "validation" else "parties") / name
        place.mkdir(parents=True)
        lines = [",".join(order)]
        for _ in range(size):
            row = {key: chance.gauss(0, 1) for key in columns[:3]}
            row["target"] = int(row["age"] + row["sugar"] + chance.gauss(0, 0.5) > 0)
            lines.append(",".join(f"{row[key]:.4g}" for key in order))
        (place / "patients.csv").write_text("\n".join(lines) + "\n")


def configure(operator: Person, hospitals: list[Person], settlement: str) -> None:
    """Fill in the template: everybody's account, and the way of settling."""
    operator_init = [sys.executable, "-m", "settlement", "init", str(operator.round)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(operator.home)}
    subprocess.run(
        [*operator_init, "--template", "hospitals"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    path = operator.round / "round.toml"
    text = path.read_text("utf-8").replace('settlement = "proof"', f'settlement = "{settlement}"')
    for key, people in (("operator", [operator]), ("address", hospitals)):
        addresses = iter(person.address for person in people)
        text = re.sub(
            rf'^{key} = "0x\w+"',
            lambda _, key=key, addresses=addresses: f'{key} = "{next(addresses)}"',
            text,
            flags=re.MULTILINE,
        )
    path.write_text(text, "utf-8")
    tables_of_patients(operator.round / "data")


def hand_out(operator: Person, hospitals: list[Person], what: str) -> None:
    """A package from the operator to each hospital."""
    for person in hospitals:
        package = operator.home / f"{what}-for-{person.name}.zip"
        operator("pack", operator.round, "--for", person.name, "--out", package)
        person.take(package)


def play(course: Course, node: Node, folder: Path) -> list[str]:
    """Carry out one course of events; what is wrong with its end."""
    people = {name: Person(name, folder / name, node.endpoint) for name in ("operator", *HOSPITALS)}
    operator, hospitals = people["operator"], [people[name] for name in HOSPITALS]
    for person in people.values():
        node.ask("anvil_setBalance", person.address, hex(10**19))
    configure(operator, hospitals, course.settlement)
    operator("train", operator.round)
    operator("open", operator.round)
    terms = json.loads((operator.round / "open" / "terms.json").read_text())
    held, start = node.balance(terms["escrow"]), node.head()
    before = {person.name: node.balance(person.address) for person in hospitals}
    hand_out(operator, hospitals, "round")

    def at_once(action: Any, chosen: list[Person]) -> list[Any]:
        with ThreadPoolExecutor(len(chosen)) as pool:
            return list(pool.map(action, chosen))

    def with_party(verb: str, person: Person, *options: str) -> Any:
        return person(verb, person.round, "--party", person.name, "--yes", *options)

    depositors = [person for person in hospitals if person.name != course.without_deposit]
    locked = at_once(
        lambda person: with_party("deposit", person, "--budget", BUDGETS[person.name]), depositors
    )
    deposits = {each["party"]: each["deposited_units"] for each in locked}
    node.later(FUNDING_S + 60)
    signatures = []
    if course.settlement == "signatures":
        signing = [person for person in hospitals if person.name != course.without_signature]
        for signed in at_once(lambda person: with_party("sign", person), signing):
            signatures += ["--signature", signed["text"]]
    nets = dict.fromkeys(HOSPITALS, 0)
    if course.without_signature:
        node.later(SETTLEMENT_S)
        leaving = depositors
    else:
        if course.operator_stays:
            operator("allocate", operator.round)
            settled = operator("settle", operator.round, *signatures)
        else:
            settled = with_party("settle", people["east"], *signatures)
        nets = dict(zip(HOSPITALS, settled["net_positions_units"], strict=True))
        leaving = [person for person in hospitals if person not in depositors]
    at_once(lambda person: with_party("withdraw", person), leaving)
    if course.operator_stays and not course.without_signature:
        operator("run", operator.round)
        hand_out(operator, hospitals, "reward")
        troubles = [
            f"{person.name} has no model"
            for person in hospitals
            if not list((person.round / "received").glob("*.safetensors"))
        ]
    else:
        troubles = []
    fees = node.fees_wei(start)
    print(f"{'':<9}{'locked':>10}{'net':>10}{'out':>10}  {'files':<6}commands")
    for person in hospitals:
        gained = node.balance(person.address) - before[person.name]
        net = (gained + fees.get(person.address.lower(), 0)) // terms["unit_scale"]
        deposit = deposits.get(person.name, 0)
        print(
            f"{person.name:<9}{deposit:>10,}{net:>+10,}{deposit + net:>10,}  "
            f"{len(person.files):<6}{len(person.commands)}: {', '.join(person.commands)}"
        )
        if net != nets[person.name]:
            troubles.append(
                f"{person.name} got {net:+,} base units; expected {nets[person.name]:+,}"
            )
        if len(person.commands) > MOST_COMMANDS or len(person.files) > MOST_FILES:
            troubles.append(f"{person.name} needed too many commands or files")
    left = node.balance(terms["escrow"]) - held
    print(f"left in the escrow: {left} wei; the operator ran {len(operator.commands)} commands")
    return troubles + ([f"{left} wei are still in the escrow"] if left else [])


def main() -> int:
    """Exit code: 0 if every course ended as it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("courses", metavar="COURSE", nargs="*", help=", ".join(COURSES))
    parser.add_argument("--in", dest="folder", type=Path, help="keep everybody's homes there")
    chosen = parser.parse_args()
    if unknown := set(chosen.courses) - set(COURSES):
        parser.error(f"no such course: {', '.join(unknown)}; expected {', '.join(COURSES)}")
    wrong = False
    with running_anvil() as node, tempfile.TemporaryDirectory() as scratch:
        for name in chosen.courses or COURSES:
            print(f"\n{name}: {COURSES[name]}", flush=True)
            for trouble in play(COURSES[name], node, (chosen.folder or Path(scratch)) / name):
                print(f"WRONG {trouble}")
                wrong = True
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
