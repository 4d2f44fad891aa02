"""Accounts that hold real keys: encrypted keystore files or the environment, never the config.

The account of a name, say ``party/0``, is looked for in two places, in this order:

1. the file ``party-0.json`` in the keystore folder, encrypted as geth and eth_account do it, with
   the password in ``FAIRROUND_PASSWORD_PARTY_0``, or else ``FAIRROUND_PASSWORD``, or typed in;
2. the environment variable ``FAIRROUND_KEY_PARTY_0``: 32 bytes in hex.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settlement.chain.errors import KeystoreError, UnknownAccount

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["AskPassword", "KeyRing", "simulated_account", "write_keystore"]

AskPassword = Callable[[str], str]
"""Given an account's name, its password; for a prompt of the command line."""

KEY_VARIABLE = "FAIRROUND_KEY_"
PASSWORD_VARIABLE = "FAIRROUND_PASSWORD"
SIMULATED = b"fairround simulated account"


class KeyRing:
    """The accounts of a round on a real chain, by name.

    Parameters
    ----------
    names : tuple of str
        Who may sign.
    keystore : Path or None
        Folder of encrypted keystore files.
    addresses : mapping of str to str
        Addresses that are known beforehand; a key for another address is refused.
    ask_password : callable or None
        Asked when no environment variable has the password.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        keystore: Path | None = None,
        addresses: Mapping[str, str] | None = None,
        ask_password: AskPassword | None = None,
    ) -> None:
        files = [_file_name(name) for name in names]
        if len(set(files)) != len(files):
            raise KeystoreError(
                f"Two of the names {', '.join(names)} have the same file name; rename one."
            )
        self._names = names
        self._keystore = keystore
        self._addresses = dict(addresses or {})
        self._ask_password = ask_password
        self._accounts: dict[str, LocalAccount] = {}

    def account(self, name: str) -> LocalAccount:
        """The account of a name, decrypted on first use.

        Raises
        ------
        UnknownAccount
            If no key is to be found for it.
        KeystoreError
            If the file is not a keystore, the password is wrong or the address is another.
        """
        if name not in self._accounts:
            account = self._unlock(name)
            expected = self._addresses.get(name)
            if expected is not None and account.address.lower() != expected.lower():
                raise KeystoreError(
                    f'The key of "{name}" belongs to {account.address}; expected {expected}. '
                    "Use that account's key or correct the address."
                )
            self._accounts[name] = account
        return self._accounts[name]

    def address(self, name: str) -> str:
        """The address of a name, without its password where that is possible."""
        from eth_utils.address import to_checksum_address

        path = self._path(name)
        if name in self._accounts:
            found = str(self._accounts[name].address)
        elif name in self._addresses:
            found = self._addresses[name]
        elif path is not None and path.exists() and "address" in (content := _read(path)):
            found = f"0x{content['address'].removeprefix('0x')}"
        else:
            found = str(self.account(name).address)
        return str(to_checksum_address(found))

    def _unlock(self, name: str) -> LocalAccount:
        from eth_account import Account

        path = self._path(name)
        if path is not None and path.exists():
            return _decrypt(path, self._password(name))
        variable = KEY_VARIABLE + _shell_name(name)
        key = os.environ.get(variable)
        if key is None or name not in self._names:
            file = "no keystore folder is set" if path is None else f"no file {path}"
            raise UnknownAccount(
                f'No key for "{name}": {file}, and {variable} is not set. '
                f"Known names: {', '.join(self._names) or 'none'}."
            )
        try:
            account: LocalAccount = Account.from_key(key)
        except ValueError:  # its words would repeat the key
            raise KeystoreError(
                f"{variable} does not hold a key; expected 32 bytes in hex."
            ) from None
        return account

    def _path(self, name: str) -> Path | None:
        return None if self._keystore is None else self._keystore / f"{_file_name(name)}.json"

    def _password(self, name: str) -> str:
        for variable in (f"{PASSWORD_VARIABLE}_{_shell_name(name)}", PASSWORD_VARIABLE):
            if variable in os.environ:
                return os.environ[variable]
        if self._ask_password is not None:
            return self._ask_password(name)
        raise KeystoreError(
            f'No password for the keystore of "{name}"; set '
            f"{PASSWORD_VARIABLE}_{_shell_name(name)} or {PASSWORD_VARIABLE}."
        )


def list_keys(folder: Path) -> list[Any]:
    """Stand-in until the branch `config` is merged."""
    return []


def addresses_in_environment() -> list[str]:
    """Addresses of the keys that environment variables hold."""
    from eth_account import Account

    found = (key for name, key in os.environ.items() if name.startswith(KEY_VARIABLE))
    return [str(Account.from_key(key).address) for key in found]


def write_keystore(
    folder: Path, name: str, key: bytes, password: str, *, iterations: int | None = None
) -> Path:
    """Encrypt a key into the keystore file of a name; an existing file is never replaced."""
    from eth_account import Account

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{_file_name(name)}.json"
    content = json.dumps(Account.encrypt(key, password, iterations=iterations), indent=2)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeystoreError(f"{path} exists already; move it away first.") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def _decrypt(path: Path, password: str) -> LocalAccount:
    from eth_account import Account

    content = _read(path)
    try:
        key = Account.decrypt(content, password)
    except ValueError as error:
        if "MAC" in str(error):
            raise KeystoreError(f"{path}: the password is wrong; nothing was signed.") from None
        raise KeystoreError(f"{path}: cannot be decrypted ({error}).") from None
    except (KeyError, TypeError) as error:
        raise KeystoreError(f"{path}: not a keystore file ({error!r}).") from None
    account: LocalAccount = Account.from_key(key)
    written = str(content.get("address", account.address)).removeprefix("0x")
    if written.lower() != account.address[2:].lower():
        raise KeystoreError(
            f"{path}: says address 0x{written}, holds the key of {account.address}; restore the "
            "file."
        )
    return account


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise KeystoreError(f"{path}: cannot be read ({error}).") from None
    if not isinstance(content, dict):
        raise KeystoreError(f"{path}: not a keystore file; expected a JSON object.")
    return content


def _file_name(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z_.-]", "-", name)


def _shell_name(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "_", name).upper()


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
