"""Faults of a configuration that no single key shows: names, deadlines, deposits, counts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ml.errors import Fault, ValueTableError
from ml.game.words import COVER_KINDS, MAX_TABLE_PARTIES
from settlement.chain.spec import IN_PROCESS
from settlement.config.schema import ConfigFile
from settlement.money.bridge import BridgeError, deposit_units
from settlement.money.terms import MAX_AMOUNT_UNITS
from settlement.naming import with_names
from settlement.posting.format import MAX_EXACT_PARTIES, MAX_EXCHANGE_RATE

__all__ = ["faults_together", "names_twice"]

MAX_TRAINED_PARTIES = 16
"""Most parties whose coalitions are all trained: 2**16 - 1 models."""

MAX_ESTIMATED_PARTIES = 62
"""Most parties whose flows are estimated: a coalition is a bitmask of a signed 64-bit number."""

MAX_CAP = 1_000
"""Largest cap that is read: scores end at 1, and a cap has to fit a posted allocation."""

STEPS_S = 20
"""Seconds that the in-process chain's clock needs, one a block, for what is sent once a round."""


def names_twice(tables: Mapping[str, Any]) -> list[Fault]:
    """Names that occur twice; read from the raw tables, so other faults do not hide them."""
    faults = []
    first: dict[str, int] = {}
    parties = tables.get("party")
    for index, party in enumerate(parties if isinstance(parties, list) else []):
        name = party.get("name") if isinstance(party, dict) else None
        if not isinstance(name, str):
            continue
        if name in first:
            message = f"{name!r} is the name of party {first[name]} too"
            faults.append(Fault(f"party[{index}].name", message))
        first.setdefault(name, index)
    return faults


def faults_together(file: ConfigFile) -> list[Fault]:
    """What is wrong with a file whose tables are right one by one."""
    faults = []
    n_parties = len(file.party)
    estimate = file.values.method == "estimate"
    most = MAX_ESTIMATED_PARTIES if estimate else MAX_TRAINED_PARTIES
    most = most if file.values.given is None else MAX_TABLE_PARTIES
    if not 2 <= n_parties <= most:
        faults.append(Fault("party", f"{n_parties} parties; expected 2 to {most}"))
    for index, party in enumerate(file.party):
        if party.cap is not None and party.cap > MAX_CAP:
            message = f"{party.cap} is more than any model is worth; leave the cap out"
            faults.append(Fault(f"party[{index}].cap", message))
    faults += _check_deposits(file)
    faults += _check_way(file, n_parties)
    if file.values.given is not None:
        faults += _check_given(file, file.values.given, n_parties)
    if estimate and file.round.monotone in COVER_KINDS:
        message = "a sample of coalitions cannot be covered; estimates allow for noise themselves"
        faults.append(Fault("round.monotone", message))
    return faults


def _check_way(file: ConfigFile, n_parties: int) -> list[Fault]:
    """Deadlines that leave time for every step; what the contract takes in the optimistic way."""
    faults = []
    chain = file.chain
    least_s = n_parties + STEPS_S if chain.provider == IN_PROCESS else 1
    for name in ("funding_s", "settlement_s"):
        if getattr(chain, name) < least_s:
            message = f"{getattr(chain, name)} s; expected at least {least_s}: a block is a second"
            faults.append(Fault(f"chain.{name}", message))
    if chain.provider == IN_PROCESS:
        own = "not expected: accounts of the in-process chain are made for the round"
        if chain.keystore is not None:
            faults.append(Fault("chain.keystore", own))
        for index, party in enumerate(file.party):
            if party.address is not None:
                faults.append(Fault(f"party[{index}].address", own))
    if chain.settlement != "optimistic":
        return faults
    if 2 * chain.challenge_window_s + least_s > chain.settlement_s:
        message = (
            f"two windows of {chain.challenge_window_s} s and {least_s} s to post do not fit into "
            f"settlement_s = {chain.settlement_s}"
        )
        faults.append(Fault("chain.challenge_window_s", message))
    if file.values.method == "estimate" and n_parties <= MAX_EXACT_PARTIES:
        message = (
            f"the optimistic way posts the whole table of up to {MAX_EXACT_PARTIES} parties; "
            f'train all coalitions ("exact"), or let all sign'
        )
        faults.append(Fault("values.method", message))
    if file.round.exchange_rate > MAX_EXCHANGE_RATE:
        message = f"the optimistic way takes at most {MAX_EXCHANGE_RATE} base units a unit of value"
        faults.append(Fault("round.exchange_rate", message))
    return faults


def _check_deposits(file: ConfigFile) -> list[Fault]:
    """Each deposit fits an amount, and so do all together: the escrow adds them up."""
    faults = []
    total = 0
    for index, party in enumerate(file.party):
        try:
            total += deposit_units(party.budget_value, file.round.exchange_rate)
        except BridgeError:
            message = f"{party.budget} is more than {MAX_AMOUNT_UNITS} base units"
            faults.append(Fault(f"party[{index}].budget", message))
    if total > MAX_AMOUNT_UNITS:
        message = (
            f"all deposits together are {total} base units; expected at most {MAX_AMOUNT_UNITS}. "
            f"An unlimited budget locks one unit of value. Lower the exchange rate or the budgets."
        )
        faults.append(Fault("round.exchange_rate", message))
    return faults


def _check_given(file: ConfigFile, given: list[Decimal], n_parties: int) -> list[Fault]:
    faults = []
    for name in ("data", "training", "engine"):
        if getattr(file, name) is not None:
            faults.append(Fault(name, "not expected: the values are given, nothing is trained"))
    if file.values.method == "estimate":
        faults.append(Fault("values.method", "not expected: all values are given"))
    if n_parties <= MAX_TABLE_PARTIES and len(given) != 2**n_parties:
        message = f"{len(given)} values; expected 2**{n_parties} = {2**n_parties}"
        faults.append(Fault("values.given", message))
    for index, value in enumerate(given):
        if not 0 <= value <= 1:
            message = f"found {value}; expected a score in [0, 1]"
            faults.append(Fault(f"values.given[{index}]", message))
    if given and given[0] != 0:
        message = f"the empty coalition has value {given[0]}; expected 0"
        faults.append(Fault("values.given[0]", message))
    if not faults and 2 <= n_parties <= MAX_TABLE_PARTIES:
        faults += _check_table(file, [float(value) for value in given])
    return faults


def _check_table(file: ConfigFile, given: list[float]) -> list[Fault]:
    """What the stage `train` would say of given values, before anybody locks a deposit."""
    from ml.game import ValueTable  # numpy; a configuration without values is checked without it

    try:
        table = ValueTable(given)
        if file.round.monotone == "refuse":
            table.require_monotone()
    except ValueTableError as error:
        return [Fault("values.given", with_names(str(error), [party.name for party in file.party]))]
    return []
