"""Lets a Python function ``evaluate(members, seed) -> float`` answer as a program does.

    python -m ml.engines.answering package.module:function

The function runs in a process of its own, so that it can be ended when it takes too long, and what
it prints cannot be taken for an answer. It may return a mapping with a score, `model_sha256` and
`checkpoints` instead of a number.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from ml.engines.own_code import function_of_own

__all__ = ["answers_alone", "main"]


def answers_alone() -> TextIO:
    """Standard output for answers alone: what else is printed goes where errors go."""
    answers = os.fdopen(os.dup(1), "w")
    sys.stdout.flush()
    os.dup2(2, 1)
    return answers


def main(path: str) -> None:
    """Answer questions from standard input until it ends."""
    answers = answers_alone()
    evaluate = function_of_own(path, "Function")
    for line in sys.stdin:
        question = json.loads(line)
        found = evaluate(tuple(question["members"]), question["seed"])
        answer = dict(found) if isinstance(found, Mapping) else {"score": float(found)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
