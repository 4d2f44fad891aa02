"""Starts a program on a leash: when the process that asked for it is gone, it and its children end.

    python -I -S leash.py HELD REFUSED program argument ...

This process becomes the program, and leaves a watcher in the program's process group. The watcher
waits for the end of the pipe HELD, whose other end only the asker holds: the system closes that
however the asker ends, `kill -9` included. Then the watcher kills the group, itself in it. Why a
program does not start is written to the pipe REFUSED.

It is run as a file, with no packages: it has to start fast and must not depend on who asks.
"""

import os
import signal
import sys

__all__ = ["main"]


def main(held: int, refused: int, command: list[str]) -> None:
    """Leave the watcher and become the program."""
    watcher = os.fork()
    if not watcher:
        # Forked twice: the program must not find a child that it did not start.
        if not os.fork():
            os.close(refused)
            _watch(held)
        os._exit(0)
    os.waitpid(watcher, 0)
    os.close(held)
    os.set_inheritable(refused, False)
    # Python ignores these two, and what is ignored stays so in the program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(refused, (error.strerror or str(error)).encode())
        os._exit(127)


def _watch(held: int) -> None:
    # The program's pipes must end when the program does, and polite signals are for the program.
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.read(held, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
