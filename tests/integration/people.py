"""People of a round on a real node: each in a process, a home, a key and an endpoint of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from eth_account import Account

from settlement.chain.keys import write_keystore

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse"

# anvil's accounts: printed on every start, known to everybody, worth nothing.
KEYS = {
    "operator": "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "a": "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "b": "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "c": "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "d": "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "bystander": "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
}

VALUES = [0, 0.2, 0.3, 0.5, 0.3, 0.5, 0.6, 0.8, 0.1, 0.35, 0.45, 0.6, 0.4, 0.6, 0.7, 1.0]
"""Of four parties a, b, c, d; monotone."""


def address_of(name: str) -> str:
    return str(Account.from_key(KEYS[name]).address)


class Person:
    """Runs the command line with nothing of anybody else: its own home, key, node and folder."""

    def __init__(self, name: str, home: Path, endpoint: str, cache: Path) -> None:
        self.name = name
        self.home = home
        self.round = home / "round"
        self.address = address_of(name)
        settings = home / ".config" / "fairround"
        settings.mkdir(parents=True)
        self.settings = settings / "config.toml"
        self.asks(endpoint)
        write_keystore(settings / "keys", "me", bytes.fromhex(KEYS[name]), PASSWORD, iterations=2)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "FAIRROUND_CACHE": str(cache),
            "FAIRROUND_PASSWORD": PASSWORD,
            "COLUMNS": "100",
            "OMP_NUM_THREADS": "1",
        }

    def asks(self, endpoint: str) -> None:
        """Choose a node of one's own."""
        self.settings.write_text(f"endpoint = {json.dumps(endpoint)}\n")

    def start(self, *command: object) -> subprocess.Popen[bytes]:
        """A command of this person's that goes on by itself."""
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=self.home,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __call__(self, *arguments: object, code: int = 0, answer: str = "") -> str:
        return self.python("-m", "settlement", *arguments, code=code, answer=answer)

    def python(self, *command: object, code: int = 0, answer: str = "") -> str:
        """What a process of this person's prints."""
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=self.home,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            input=answer,
            timeout=300,
        )
        assert done.returncode == code, f"{self.name}: {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def words(self, *arguments: object, answer: str = "n\n") -> str:
        """What the person is shown before it says no."""
        done = subprocess.run(
            [sys.executable, "-m", "settlement", *map(str, arguments)],
            cwd=self.home,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            input=answer,
            timeout=300,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def json(self, *arguments: object) -> Any:
        return json.loads(self(*arguments, "--json"))


class Village:
    """An operator and four parties around one node, who hand packages to each other."""

    def __init__(self, node: Any, folder: Path, cache: Path) -> None:
        self.node = node
        self.people = {name: Person(name, folder / name, node.address, cache) for name in KEYS}
        self.operator = self.people["operator"]
        self.parties = [self.people[name] for name in "abcd"]
        self._folder = folder
        self._handed = 0

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def configure(self, addresses: dict[str, str] | None = None, **chain: Any) -> None:
        """Write the operator's configuration: given values, everybody's account."""
        lines = ["[round]", 'name = "four clinics"', "[values]", f"given = {VALUES}", "[chain]"]
        latest = self.node.ask("eth_chainId")
        settings = {"chain_id": int(latest, 16), "operator": self.operator.address} | chain
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        for name in "abcd":
            account = (addresses or {}).get(name, self[name].address)
            lines += ["[[party]]", f'name = "{name}"', f'address = "{account}"']
        self.operator.round.mkdir()
        text = "\n".join(lines) + "\n"
        tomllib.loads(text)
        (self.operator.round / "round.toml").write_text(text)

    def open(self, addresses: dict[str, str] | None = None, **chain: Any) -> None:
        """Train and open; hand every party what it needs."""
        self.configure(addresses, **chain)
        self.operator("train", self.operator.round)
        self.operator("open", self.operator.round)
        self.hand_round()

    def hand_round(self) -> None:
        """Give every party what the operator's folder holds for it."""
        for party in self.parties:
            self.hand(self.operator, party)

    def hand(self, giver: Person, taker: Person) -> None:
        """A package from one to another; nothing else ever passes between them."""
        self._handed += 1
        name = taker.name if taker is not self.operator else "operator"
        package = self._folder / f"{self._handed}.zip"
        if giver is self.operator:
            giver("pack", giver.round, "--for", name, "--out", package)
        else:
            giver("pack", giver.round, "--for", "operator", "--out", package)
        shutil.copy(package, taker.home / package.name)
        taker("collect", taker.round, taker.home / package.name)

    def later(self, seconds: int) -> None:
        """Let the node's clock go on."""
        self.node.ask("evm_increaseTime", seconds)
        self.node.ask("evm_mine")

    def balance(self, address: str) -> int:
        return int(self.node.ask("eth_getBalance", address, "latest"), 16)

    def terms(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.operator.round / "open" / "terms.json").read_text()
        )
        return found

    def round_id(self) -> int:
        return int(
            json.loads((self.operator.round / "open" / "round.json").read_text())["round_id"]
        )
