"""One JSON-RPC endpoint: questions and answers, asked again when a reply is lost."""

from __future__ import annotations

import os
import re
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

_NUMBER = re.compile("0x[0-9a-fA-F]{1,64}")
_COUNT = re.compile("0x[0-9a-fA-F]{1,16}")
_BYTES = re.compile("0x(?:[0-9a-fA-F]{2})*")
_HASH = re.compile("0x[0-9a-fA-F]{64}")
_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
_LOG = {
    "address": _ADDRESS,
    "topics": [_HASH],
    "data": _BYTES,
    "blockNumber": _COUNT,
    "transactionHash": _HASH,
    "logIndex": _COUNT,
}
_RECEIPT = {
    "blockNumber": _COUNT,
    "blockHash": _HASH,
    "transactionHash": _HASH,
    "gasUsed": _COUNT,
    "status": _COUNT,
    "contractAddress": (_ADDRESS, None),
    "logs": [_LOG],
}
_BLOCK = {"number": _COUNT, "hash": _HASH, "timestamp": _COUNT, "gasLimit": _COUNT}
_SHAPES: dict[str, Any] = {
    "eth_chainId": re.compile("0x0*[1-9a-fA-F][0-9a-fA-F]{0,15}"),
    "eth_blockNumber": _COUNT,
    "eth_getTransactionCount": _COUNT,
    "eth_getBalance": _NUMBER,
    "eth_call": _BYTES,
    "eth_getCode": _BYTES,
    "eth_getLogs": [_LOG],
    "eth_getBlockByNumber": (_BLOCK, None),
    "eth_getTransactionReceipt": (_RECEIPT, None),
    "eth_getTransactionByHash": (
        {"from": _ADDRESS, "to": (_ADDRESS, None), "input": _BYTES, "value": _NUMBER},
        None,
    ),
}
"""What each question is answered with: a pattern, a list, keys of an object, or one of several."""
_PENDING = ({"timestamp": _COUNT}, None)
"""A block that is still to come has no hash."""


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
            If the endpoint answers with an error, or with what is no answer to this question.
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
            result = reply.get("result")
            shape = _PENDING if parameters[:1] == ("pending",) else _SHAPES.get(method, ...)
            if not _fits(result, shape):
                raise RpcFailed(method, None, f"the endpoint answered {result!r:.200}")
            return result
        if isinstance(failure, str):
            raise RpcFailed(method, None, failure)
        raise RpcFailed(
            method, failure.get("code"), str(failure.get("message", "")), failure.get("data")
        )


def _fits(found: Any, shape: Any) -> bool:
    """Whether an answer has the shape that Ethereum's protocol gives it; more keys are no fault."""
    if isinstance(shape, re.Pattern):
        return isinstance(found, str) and shape.fullmatch(found) is not None
    if isinstance(shape, tuple):
        return any(_fits(found, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(found, list) and all(_fits(item, shape[0]) for item in found)
    if isinstance(shape, dict):
        return isinstance(found, dict) and all(_fits(found.get(k), v) for k, v in shape.items())
    return shape is ... or found is shape


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
