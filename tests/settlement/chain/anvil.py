"""A real node for tests: anvil, if it is there, in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

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


def key_variable(name: str) -> str:
    """Where the key of an account is looked for in the environment."""
    return f"FAIRROUND_KEY_{name.upper().replace('/', '_')}"


KEY_VARIABLES = {key_variable(name): key for name, key in KEYS.items()}


def find_anvil() -> str | None:
    """The program: named by the environment, installed by scripts/install_anvil, or on PATH."""
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
        done = threading.Event()

        def mine() -> None:
            while not done.wait(every_s):
                self.mine()

        miner = threading.Thread(target=mine)
        miner.start()
        try:
            yield
        finally:
            done.set()
            miner.join()


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
        # Read on, or the node stops when the pipe is full.
        reader = threading.Thread(target=process.stdout.read, daemon=True)
        reader.start()
        yield Anvil(f"http://{line.split()[-1]}", process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        process.stdout.close()


def anvil_spec(address: str, **changes: Any) -> ChainSpec:
    """A round on a node, with little patience."""
    settings: dict[str, Any] = {
        "accounts": story.ACCOUNTS,
        "provider": address,
        "chain_id": CHAIN_ID,
        "patience_s": 20.0,
        "reply_timeout_s": 5.0,
    }
    return ChainSpec(**(settings | changes))
