"""Accounts that hold real keys: encrypted files or the environment, never a round's folder.

The key of an account is found by the account's address, which the round's terms name:

1. in a file ``NAME.json`` of the keystore folder, encrypted as geth and eth_account do it, with the
   password in ``FAIRROUND_PASSWORD_NAME``, or else ``FAIRROUND_PASSWORD``, or typed in;
2. in ``FAIRROUND_KEY``, or any variable whose name begins with ``FAIRROUND_KEY_``: 32 bytes in hex.

A key is decrypted when somebody signs with it, and stays in memory only.

Accounts of a simulated chain are derived from the journal's seed and the account's name. These keys
are **worthless by design**: the seed stands in the clear in the first line of the journal, because
whoever holds the folder must be able to replay the round. Never send anything of value to them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.reading import UnreadableFile, read_json
from settlement.chain.errors import KeystoreError, UnknownAccount

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = [
    "AskPassword",
    "KeyFile",
    "KeyRing",
    "account_of_key",
    "addresses_in_environment",
    "list_keys",
    "open_key_file",
    "simulated_account",
    "write_keystore",
]

AskPassword = Callable[[str], str]
"""Given what a key file is called, its password; for a prompt of the command line."""

KEY_VARIABLE = "FAIRROUND_KEY"
PASSWORD_VARIABLE = "FAIRROUND_PASSWORD"
SIMULATED = b"fairround simulated account"

KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MAX_FILE_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One encrypted key: what it is called, whose it is, where it stands."""

    name: str
    address: str
    path: Path


class KeyRing:
    """The accounts of a round on a real chain, by name.

    Parameters
    ----------
    addresses : mapping of str to str
        Address of each account that may sign.
    keystore : Path or None
        Folder of encrypted key files.
    ask_password : callable or None
        Asked when no environment variable has the password.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        keystore: Path | None = None,
        ask_password: AskPassword | None = None,
    ) -> None:
        self._addresses = dict(addresses)
        self._keystore = keystore
        self._ask_password = ask_password
        self._accounts: dict[str, LocalAccount] = {}
        self._own: set[str] | None = None

    def account(self, name: str) -> LocalAccount:
        """The account of a name, decrypted on first use.

        Raises
        ------
        UnknownAccount
            If no key is to be found for it.
        KeystoreError
            If the file is not a keystore, or the password is wrong.
        """
        if name not in self._accounts:
            self._accounts[name] = self._unlock(name, self.address(name))
        return self._accounts[name]

    def address(self, name: str) -> str:
        """The address of a name; no key is asked for."""
        from eth_utils.address import to_checksum_address

        if name not in self._addresses:
            raise UnknownAccount(
                f'No account "{name}" in the round; expected one of '
                f"{', '.join(self._addresses) or 'none'}."
            )
        return str(to_checksum_address(self._addresses[name]))

    def holds(self, address: str) -> bool:
        """Whether the user has the key of an address; no password is asked for."""
        if self._own is None:
            files = list_keys(self._keystore) if self._keystore else []
            self._own = {file.address for file in files} | set(addresses_in_environment())
        return address in self._own

    def _unlock(self, name: str, address: str) -> LocalAccount:
        files = list_keys(self._keystore) if self._keystore else []
        for file in files:
            if file.address == address:
                return open_key_file(file.path, self._password(file))
        for variable, key in os.environ.items():
            if variable == KEY_VARIABLE or variable.startswith(f"{KEY_VARIABLE}_"):
                account = account_of_key(key, variable)
                if account.address == address:
                    return account
        held = ", ".join(f"{file.name} ({file.address})" for file in files) or "nothing"
        raise UnknownAccount(
            f"No key of {address}, the account of {name}: {self._keystore or 'no keystore'} holds "
            f"{held}, and no variable {KEY_VARIABLE} has it. Make one with `fairround keys new`, "
            "or bring it with `fairround keys import`."
        )

    def _password(self, file: KeyFile) -> str:
        own = f"{PASSWORD_VARIABLE}_{re.sub(r'[^0-9A-Za-z]', '_', file.name).upper()}"
        for variable in (own, PASSWORD_VARIABLE):
            if variable in os.environ:
                return os.environ[variable]
        if self._ask_password is not None:
            return self._ask_password(f"key {file.name} ({file.address})")
        raise KeystoreError(
            f'No password for the key "{file.name}"; set {own} or {PASSWORD_VARIABLE}.'
        )


def list_keys(folder: Path) -> list[KeyFile]:
    """The key files of a folder, by name; what is no key file is left out."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            address = _written_address(read_json(path, MAX_FILE_BYTES))
        except UnreadableFile:
            continue
        if address is not None:
            found.append(KeyFile(path.stem, address, path))
    return found


def _written_address(content: object) -> str | None:
    """The address that a key file says it is of."""
    from eth_utils.address import is_hex_address, to_checksum_address

    address = content.get("address") if isinstance(content, dict) else None
    good = isinstance(address, str) and is_hex_address(address)
    return str(to_checksum_address(address)) if good else None


def addresses_in_environment() -> list[str]:
    """Addresses of the keys that environment variables hold."""
    return [
        str(account_of_key(key, variable).address)
        for variable, key in os.environ.items()
        if variable == KEY_VARIABLE or variable.startswith(f"{KEY_VARIABLE}_")
    ]


def write_keystore(
    folder: Path, name: str, key: bytes, password: str, *, iterations: int | None = None
) -> KeyFile:
    """Encrypt a key into a file of its own, for its owner's eyes; no file is ever replaced.

    Raises
    ------
    KeystoreError
        If the name is no plain name, or a file has it already.
    """
    from eth_account import Account

    if not KEY_NAME.fullmatch(name):
        raise KeystoreError(
            f"{name!r:.80} is no name of a key; expected at most 64 letters, digits, '.', '_' and "
            "'-', a letter or digit first."
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.json"
    content = json.dumps(Account.encrypt(key, password, iterations=iterations), indent=2)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeystoreError(f"{path} exists already; choose another name.") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    return KeyFile(name, str(Account.from_key(key).address), path)


def account_of_key(key: str, what: str) -> LocalAccount:
    """The account of a key in hex; errors say ``what`` should hold it, never what it holds.

    Raises
    ------
    KeystoreError
        If it is no key.
    """
    from eth_account import Account

    try:
        account: LocalAccount = Account.from_key(key.strip())
    except ValueError:  # its words would repeat the key
        raise KeystoreError(f"{what} does not hold a key; expected 32 bytes in hex.") from None
    return account


def open_key_file(path: Path, password: str) -> LocalAccount:
    """The account of an encrypted key file.

    Raises
    ------
    KeystoreError, UnreadableFile
        If the file is none, says another address than its key's, or the password is wrong.
    """
    from eth_account import Account

    content: Any = read_json(path, MAX_FILE_BYTES)
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(content, password))
    except Exception as error:  # whatever a damaged file makes the library stumble over
        if "MAC" in str(error):
            raise KeystoreError(f"{path}: the password is wrong; nothing was signed.") from None
        raise KeystoreError(f"{path}: cannot be decrypted ({error!r}).") from None
    written = _written_address(content)
    if written not in (None, account.address):
        raise KeystoreError(
            f"{path}: says address {written}, holds the key of {account.address}; restore the file."
        )
    return account


def simulated_account(seed: bytes, name: str) -> LocalAccount:
    """The account of one name on the simulated chain of one seed; the same in every process.

    Examples
    --------
    >>> account = simulated_account(bytes(32), "operator")
    >>> account.address == simulated_account(bytes(32), "operator").address
    True
    """
    from eth_account import Account

    # The seed has a fixed length, so no other seed and name can spell the same bytes.
    key = hashlib.sha256(SIMULATED + hashlib.sha256(seed).digest() + name.encode()).digest()
    account: LocalAccount = Account.from_key(key)
    return account
