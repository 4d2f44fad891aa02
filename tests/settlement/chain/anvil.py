"""A real node for tests: anvil, if it is there, in a process of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from eth_account import Account

from settlement.chain import ChainSpec
from tests.settlement.chain import purse as story

ROOT = Path(__file__).resolve().parents[3]
CHAIN_ID = 31337
# anvil's first four accounts: printed on every start, known to everybody, worth nothing.
KEYS = {
    "operator": "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "party/0": "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "party/1": "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "party/2": "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
}
ADDRESSES = {name: Account.from_key(key).address for name, key in KEYS.items()}


def key_variable(name: str) -> str:
    """Where the key of an account is looked for in the environment."""
    return f"FAIRROUND_KEY_{name.upper().replace('/', '_')}"


KEY_VARIABLES = {key_variable(name): key for name, key in KEYS.items()}


def find_anvil() -> str | None:
    """The program: named by the environment, installed by scripts/install_anvil.py, or on PATH."""
    places = [
        os.environ.get("FAIRROUND_ANVIL"),
        str(ROOT / ".tools" / "node_modules" / ".bin" / "anvil"),
        shutil.which("anvil"),
    ]
    return next((place for place in places if place and Path(place).exists()), None)


class Anvil:
    """One running node."""

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address = address
        self.process = process

    def ask(self, method: str, *parameters: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        reply = requests.post(self.address, json=body, timeout=30).json()
        assert "error" not in reply, reply
        return reply["result"]

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks by empty ones, as if another branch had won."""
        self.ask("anvil_reorg", depth, [])

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.ask("evm_mine")

    def head(self) -> int:
        return int(self.ask("eth_blockNumber"), 16)

    def block_hash(self, number: int) -> str:
        return str(self.ask("eth_getBlockByNumber", hex(number), False)["hash"])

    @contextmanager
    def mining(self, every_s: float = 0.02) -> Iterator[None]:
        """Blocks that come by themselves, as on a real chain."""
        with meanwhile(self.mine, every_s):
            yield

    @contextmanager
    def storms(self, deepest: int, seed: int, every_s: float = 0.02) -> Iterator[None]:
        """Blocks that come by themselves, and up to ``deepest`` of them go again.

        More come than go, and one thread does both: however slow the machine is, the chain gets
        on, and what was sent early between two storms stays.
        """
        chance = random.Random(seed)
        left = iter(range(deepest + 1))

        def step() -> None:
            nonlocal left
            if next(left, None) is None:
                self.reorganise(chance.randint(1, deepest))
                left = iter(range(deepest + chance.randint(1, 2 * deepest)))
            else:
                self.mine()

        with meanwhile(step, every_s):
            yield


@contextmanager
def meanwhile(step: Callable[[], object], every_s: float) -> Iterator[None]:
    """Repeat a step in a thread that ends with the block; what fails there fails here."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(every_s):
            step()

    with ThreadPoolExecutor(1) as pool:
        repeating = pool.submit(repeat)
        try:
            yield
        finally:
            done.set()
    repeating.result()


@contextmanager
def running_anvil(program: str, **options: object) -> Iterator[Anvil]:
    """A fresh node on a free port of this machine."""
    settings = {"port": 0, "hardfork": "prague", "chain-id": CHAIN_ID} | options
    process = subprocess.Popen(
        [program, *(f"--{name}={value}" for name, value in settings.items())],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # npm's anvil is a wrapper: stop it with its child
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("Listening on"):
                break
        else:
            raise RuntimeError(f"{program} ended with {process.wait()} before it listened")
        with ThreadPoolExecutor(1) as pool:
            # Read on, or the node stops when the pipe is full.
            pool.submit(process.stdout.read)
            try:
                yield Anvil(f"http://{line.split()[-1]}", process)
            finally:
                _kill(process)  # its end is the end of the reading
    finally:
        _kill(process)
        process.stdout.close()


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def anvil_spec(address: str, **changes: Any) -> ChainSpec:
    """A round on a node, with more patience than a busy machine needs.

    A test that waits for patience to run out names its own. Lost replies are closed connections,
    so a long wait for a reply costs nothing where all is well.
    """
    settings: dict[str, Any] = {
        "accounts": story.ACCOUNTS,
        "addresses": ADDRESSES,
        "provider": address,
        "chain_id": CHAIN_ID,
        "patience_s": 300.0,
        "reply_timeout_s": 60.0,
    }
    return ChainSpec(**(settings | changes))
