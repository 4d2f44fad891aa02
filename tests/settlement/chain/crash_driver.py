"""Kills real processes with SIGKILL at every write of a journal, then finishes their work.

Run as ``python -m tests.settlement.chain.crash_driver FOLDER [ENDPOINT]``. One warm process forks
a child for each place to die at (so that nothing is imported hundreds of times), and a second
child, which knows nothing of the first, tells the same story in the same folder. Prints one JSON
object.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from settlement.chain import ChainSpec, journal, open_chain
from tests.settlement.chain import purse as story

MOMENTS = ("before", "torn", "after")
SPEC = ChainSpec(accounts=story.ACCOUNTS, genesis_timestamp=1_700_000_000, seed=bytes(range(32)))


def die() -> None:
    """End this process as a power cut would: no cleanup, no buffers, no finally."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(moment: str, nth_write: int) -> None:
    """Arrange for this process to be killed at one moment of one write of its journal."""
    write_durably = journal._write_durably
    seen = 0

    def write(descriptor: int, content: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen < nth_write:
            write_durably(descriptor, content)
            return
        if moment == "torn":
            os.write(descriptor, content[: len(content) * 2 // 3])
        elif moment == "after":
            write_durably(descriptor, content)
        die()

    journal._write_durably = write


def in_child(work: Callable[[], None]) -> int:
    """Run in a process of its own; its wait status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(3)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def crash_everywhere(folder: Path, open_for: Callable[[Path], object]) -> dict[str, object]:
    """One round for each moment of each write, until a round is told without dying."""

    def tell(round_folder: Path) -> None:
        with open_for(round_folder) as chain:
            story.tell_the_story(chain)

    def finish(round_folder: Path) -> None:
        with open_for(round_folder) as chain:
            purse = story.tell_the_story(chain)
            story.assert_story_happened_once(chain, purse, chain.journal)

    killed = []
    for moment in MOMENTS:
        nth_write = 0
        while True:
            nth_write += 1
            round_folder = folder / f"{moment}-{nth_write}"

            def first(round_folder: Path = round_folder, nth_write: int = nth_write) -> None:
                die_at(moment, nth_write)  # noqa: B023
                tell(round_folder)

            status = in_child(first)
            again = in_child(lambda round_folder=round_folder: finish(round_folder))
            if again != 0 or (os.WIFEXITED(status) and status != 0):
                return {"killed": killed, "broken": [moment, nth_write, status, again]}
            if os.WIFEXITED(status):
                break
            killed.append([moment, nth_write])
    return {"killed": killed, "broken": None}


if __name__ == "__main__":
    story.compiled()
    # Warm, so that children start at once.
    import settlement.chain.in_process
    import settlement.chain.json_rpc  # noqa: F401
    from tests.settlement.chain.anvil import anvil_spec

    spec = anvil_spec(sys.argv[2]) if len(sys.argv) > 2 else SPEC
    print(json.dumps(crash_everywhere(Path(sys.argv[1]), lambda path: open_chain(path, spec))))
