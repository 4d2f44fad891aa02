"""Tells rounds on an endpoint while killing them at random; prints what became of each.

Run as ``python -m tests.settlement.chain.soak_driver FOLDER ENDPOINT SEED CONFIRMATIONS ROUNDS``.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path

from settlement.chain import json_rpc, open_chain  # noqa: F401  (warm, so that children start at once)
from tests.settlement.chain import purse
from tests.settlement.chain.anvil import anvil_spec
from tests.settlement.chain.crash_driver import die_at

FIRST_WRITES = 9  # a story writes no fewer, so the first life of every round ends before it does
LONGEST_LIFE_S = 1.0
MOST_KILLS = 12


def main(folder: Path, endpoint: str, seed: int, confirmations: int, n_rounds: int) -> None:
    """Several rounds, each begun again until it is told."""
    chance = random.Random(seed)
    spec = anvil_spec(endpoint, confirmations=confirmations)
    purse.compiled()
    told = []
    for number in range(n_rounds):
        round_folder = folder / f"round-{number}"
        killed = 0
        while True:
            life_s = chance.uniform(0.0, LONGEST_LIFE_S) if killed < MOST_KILLS else math.inf
            last_write = chance.randint(1, FIRST_WRITES)
            child = os.fork()
            if child == 0:
                try:
                    if not killed:  # by its own hand: a fast child could outrun its parent
                        die_at(chance.choice(purse.MOMENTS), last_write)
                    with open_chain(round_folder, spec) as chain:
                        (folder / f"purse-{number}").write_text(purse.tell_the_story(chain))
                except BaseException as error:
                    print(f"{type(error).__name__}: {error}", file=sys.stderr)
                    os._exit(3)
                os._exit(0)
            status = wait_or_kill(child, life_s)
            if os.WIFEXITED(status):
                if os.WEXITSTATUS(status):
                    sys.exit(f"round {number} ended with {os.WEXITSTATUS(status)}")
                break
            killed += 1
        address = (folder / f"purse-{number}").read_text()
        told.append({"folder": round_folder.name, "purse": address, "killed": killed})
    print(json.dumps(told))


def wait_or_kill(child: int, life_s: float) -> int:
    """Wait status of a child that is killed when its time is over."""
    end_s = time.monotonic() + life_s
    while time.monotonic() < end_s:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *(int(number) for number in sys.argv[3:]))
