"""One JSON-RPC endpoint: questions and answers, asked again when a reply is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from requests import HTTPError, RequestException
from web3.providers.rpc import HTTPProvider

from settlement.chain.errors import ChainSpecError, ProviderUnreachable, RpcFailed
from settlement.chain.spec import FROM_ENVIRONMENT, is_endpoint

__all__ = ["RpcClient", "endpoint_address", "waits_s"]

FIRST_WAIT_S = 0.02
LONGEST_WAIT_S = 2.0
TOO_MANY_REQUESTS = 429


def waits_s() -> Iterator[float]:
    """Pauses between one try and the next: short at first, doubling up to two seconds."""
    pause_s = FIRST_WAIT_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_WAIT_S)


def endpoint_address(provider: str) -> str:
    """The endpoint's address, looked up in the environment if the spec says so."""
    if not provider.startswith(FROM_ENVIRONMENT):
        return provider
    name = provider.removeprefix(FROM_ENVIRONMENT)
    found = os.environ.get(name, "")
    if not is_endpoint(found):
        what = "no http:// or https:// address of a host" if found else "nothing"
        raise ChainSpecError(f"The environment variable {name} holds {what}; set it.")
    return found


class RpcClient:
    """Asks one endpoint; every question may be asked twice without harm.

    Also the sending of a transaction: the bytes are the same each time, so the chain takes them
    once. That is why a lost reply is always answered by asking again.

    Parameters
    ----------
    address : str
        Where the endpoint listens.
    reply_timeout_s : float
        How long to wait for one reply.
    patience_s : float
        How long to go on asking one question before `ProviderUnreachable`.
    """

    def __init__(self, address: str, reply_timeout_s: float, patience_s: float) -> None:
        self._patience_s = patience_s
        # The retries of the provider itself know nothing of which questions may be repeated.
        self._provider = HTTPProvider(
            address, request_kwargs={"timeout": reply_timeout_s}, exception_retry_configuration=None
        )

    def ask(self, method: str, *parameters: Any) -> Any:
        """The result of a call.

        Raises
        ------
        RpcFailed
            If the endpoint answers with an error.
        ProviderUnreachable
            If it does not answer at all.
        """
        started_s = time.monotonic()
        for pause_s in waits_s():
            try:
                reply = self._provider.make_request(method, parameters)
                break
            except (RequestException, ValueError) as error:  # ValueError: half a JSON object
                if _is_final(error):
                    raise RpcFailed(method, None, _without_address(error)) from None
                waited_s = time.monotonic() - started_s
                if waited_s + pause_s > self._patience_s:
                    raise ProviderUnreachable(
                        f"The JSON-RPC endpoint gave no answer to {method} for {waited_s:.1f} s "
                        f"({type(error).__name__}); see that it runs, then repeat the command: "
                        "what was sent is in the journal."
                    ) from None
                time.sleep(pause_s)
        failure = reply.get("error")
        if failure is None:
            return reply.get("result")
        if isinstance(failure, str):
            raise RpcFailed(method, None, failure)
        raise RpcFailed(
            method, failure.get("code"), str(failure.get("message", "")), failure.get("data")
        )


def _is_final(error: Exception) -> bool:
    """Whether the endpoint itself said no, so that asking again is no use."""
    if not isinstance(error, HTTPError) or error.response is None:
        return False
    status = error.response.status_code
    return 400 <= status < 500 and status != TOO_MANY_REQUESTS


def _without_address(error: Exception) -> str:
    """What went wrong, without the address: addresses of hosted endpoints carry secrets."""
    response = getattr(error, "response", None)
    status = "?" if response is None else f"{response.status_code} {response.reason}"
    return f"HTTP status {status}"
