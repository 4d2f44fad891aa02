"""Kills real processes with SIGKILL at every write of a journal, then finishes their work.

Run as ``python -m tests.settlement.chain.crash_driver FOLDER purse|escrow [ENDPOINT]``. One warm
process forks a child for each place to die at (so that nothing is imported hundreds of times), and
a second child, which knows nothing of the first, tells the same story in the same folder. Prints
one JSON object.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from settlement.chain import Chain, ChainSpec, journal, open_chain
from tests.settlement.chain import purse
from tests.settlement.escrow import escrow_story

SPEC = ChainSpec(accounts=purse.ACCOUNTS, genesis_timestamp=1_700_000_000, seed=bytes(range(32)))


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


def crash_everywhere(
    folder: Path, story: ModuleType, open_for: Callable[[Path], Chain], copies: bool
) -> dict[str, object]:
    """One round for each moment of each write, until a round is told without dying.

    ``copies``: the chain is in the folder, so that the beginning of the story can be copied.
    """

    def prepare(round_folder: Path) -> None:
        prepared = folder / "prepared" if copies else round_folder
        if not prepared.exists():
            with open_for(prepared) as chain:
                story.prepare(chain)
        if copies:
            shutil.copytree(prepared, round_folder)

    def tell(round_folder: Path, moment: str, nth_write: int) -> None:
        die_at(moment, nth_write)
        with open_for(round_folder) as chain:
            story.tell_the_story(chain)

    def finish(round_folder: Path) -> None:
        with open_for(round_folder) as chain:
            address = story.tell_the_story(chain)
            story.assert_story_happened_once(chain, address, chain.journal)

    # Between bytes that are written and bytes that are executed nothing happens in process.
    moments = ("after",) if copies and story is escrow_story else story.MOMENTS
    killed = []
    for moment in moments:
        for nth_write in itertools.count(1):
            round_folder = folder / f"{moment}-{nth_write}"
            if hasattr(story, "prepare"):
                prepare(round_folder)
            status = in_child(partial(tell, round_folder, moment, nth_write))
            again = in_child(partial(finish, round_folder))
            if again != 0 or (os.WIFEXITED(status) and status != 0):
                return {"killed": killed, "broken": [moment, nth_write, status, again]}
            if os.WIFEXITED(status):
                break
            killed.append([moment, nth_write])
    return {"killed": killed, "broken": None}


def assert_every_write_was_met(killed: list[list[object]], least: int) -> None:
    """The driver goes on until nobody dies, so no write is left out; and there are enough."""
    moments = list(dict.fromkeys(moment for moment, _ in killed))
    assert moments in ([*purse.MOMENTS], [*escrow_story.MOMENTS], ["after"])
    n_writes = len(killed) // len(moments)
    assert n_writes >= least
    writes = range(1, n_writes + 1)
    assert killed == [[moment, write] for moment in moments for write in writes]


def main(folder: str, story_name: str, endpoint: str | None = None) -> None:
    """Crash one story everywhere, in process or on an endpoint."""
    # All imports here, so that children start at once.
    import settlement.chain.in_process
    import settlement.chain.json_rpc  # noqa: F401
    from tests.settlement.chain.anvil import anvil_spec

    story = {"purse": purse, "escrow": escrow_story}[story_name]
    changes = {"accounts": story.ACCOUNTS, "codes": getattr(story, "CODES", {})}
    spec = SPEC.model_copy(update=changes)
    if endpoint is not None:
        spec = anvil_spec(endpoint, accounts=story.ACCOUNTS)
    purse.compiled()
    copies = endpoint is None
    result = crash_everywhere(Path(folder), story, lambda path: open_chain(path, spec), copies)
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
