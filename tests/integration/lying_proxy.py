"""A JSON-RPC endpoint that lies, as a process of its own in front of a real node.

    python lying_proxy.py NODE FOLDER [--swap ADDRESS ADDRESS] [--last SELECTOR] [--log OLD NEW]

``--swap`` answers every question about one address with what is true of the other. ``--log`` tells
another text in every answer about logs, and in no other. ``--last`` lets
one transaction that calls this function through and tells nobody; from then on nothing gets an
answer. It writes its own address into FOLDER/address, and each method that it is asked for, and the
word ``last``, as a line into FOLDER/asked.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests


class LyingProxy(ThreadingHTTPServer):
    """What it says instead of the truth."""

    def __init__(self, node: str, folder: Path, swap: list[str], last: str, log: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.node = node
        self.folder = folder
        self.log = log
        self.swap = [address.lower().removeprefix("0x") for address in swap]
        self.last = last.removeprefix("0x")
        self.silent = False

    def swapped(self, text: str) -> str:
        """Each of the two addresses in the other's place, however it is written."""
        if not self.swap:
            return text
        first, second = self.swap
        other = {first: second, second: first}
        return re.sub(f"{first}|{second}", lambda found: other[found[0].lower()], text, flags=re.I)

    def note(self, word: str) -> None:
        with (self.folder / "asked").open("a") as asked:
            asked.write(f"{word}\n")


class _Handler(BaseHTTPRequestHandler):
    server: LyingProxy

    def do_POST(self) -> None:
        proxy = self.server
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        method = json.loads(body)["method"]
        proxy.note(method)
        self.close_connection = True
        if proxy.silent:
            return
        is_last = bool(proxy.last) and method == "eth_sendRawTransaction" and proxy.last in body
        proxy.silent = is_last
        # What is sent is signed: it cannot be changed, only kept back.
        question = body if method == "eth_sendRawTransaction" else proxy.swapped(body)
        reply = requests.post(
            proxy.node, data=question, headers={"Content-Type": "application/json"}, timeout=30
        )
        if is_last:
            proxy.note("last")
            return
        text = proxy.swapped(reply.text)
        if proxy.log and method == "eth_getLogs":
            text = text.replace(*proxy.log)
        content = text.encode()
        self.send_response(reply.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class RunningProxy:
    """The process, seen from a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def address(self) -> str:
        return (self._folder / "address").read_text()

    @property
    def asked(self) -> list[str]:
        path = self._folder / "asked"
        return path.read_text().split() if path.exists() else []


@contextmanager
def lying_proxy(
    node: str,
    folder: Path,
    *,
    swap: tuple[str, ...] = (),
    last: str = "",
    log: tuple[str, ...] = (),
) -> Iterator[RunningProxy]:
    """A running proxy that ends with the block."""
    folder.mkdir()
    lies = {"--swap": swap, "--last": (last,) if last else (), "--log": log}
    options = [word for flag, words in lies.items() if words for word in (flag, *words)]
    process = subprocess.Popen([sys.executable, __file__, node, str(folder), *options])
    try:
        while not (folder / "address").exists():
            assert process.poll() is None, "the proxy has ended"
            time.sleep(0.02)
        yield RunningProxy(folder)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("node")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--swap", nargs=2, default=[])
    parser.add_argument("--last", default="")
    parser.add_argument("--log", nargs=2, default=[])
    options = parser.parse_args()
    lies = (options.swap, options.last, options.log)
    with LyingProxy(options.node, options.folder, *lies) as proxy:
        new = options.folder / "new"
        new.write_text(f"http://127.0.0.1:{proxy.server_address[1]}")
        new.rename(options.folder / "address")  # whole, or not there
        proxy.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
