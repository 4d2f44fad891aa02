"""A proxy that delivers every request to a node and loses some of its replies."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


class FaultyProxy(ThreadingHTTPServer):
    """Where it listens, whom it serves, and how many replies it lost."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, node: str, lost: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.node = node
        self.lost = lost
        self.chance = random.Random(seed)
        self.turn = threading.Lock()
        self.lost_replies = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def loses_this_one(self) -> bool:
        with self.turn:
            loses = self.chance.random() < self.lost
            self.lost_replies += loses
        return loses


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {"Content-Type": "application/json"}
        reply = requests.post(self.server.node, data=body, headers=headers, timeout=30)
        self.close_connection = True
        if self.server.loses_this_one():
            return  # the node has done it, and nobody is told
        self.send_response(reply.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def faulty_proxy(node: str, lost: float, seed: int) -> Iterator[FaultyProxy]:
    """A running proxy in front of a node."""
    with FaultyProxy(node, lost, seed) as proxy:
        serving = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            serving.join()
