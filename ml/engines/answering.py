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

from ml.engines.own_code import function_of_own

__all__ = ["main"]


def main(path: str) -> None:
    """Answer questions from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the function prints goes where errors go
    evaluate = function_of_own(path, "Function")
    for line in sys.stdin:
        question = json.loads(line)
        found = evaluate(tuple(question["members"]), question["seed"])
        answer = dict(found) if isinstance(found, Mapping) else {"score": float(found)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
