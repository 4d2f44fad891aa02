"""Faults of a configuration that no single key shows: names, deadlines, deposits, counts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from ml.datasets.spec import PARTY_KEYS, buyers_of, data_faults
from ml.errors import Fault, ValueTableError
from ml.game.words import COVER_KINDS, MAX_PARTIES
from settlement.config.schema import ConfigFile, as_read
from settlement.money.bridge import BridgeError
from settlement.money.terms import MAX_AMOUNT_UNITS, MAX_ROUND_PARTIES
from settlement.naming import with_names
from settlement.posting.format import MAX_EXCHANGE_RATE, MAX_POSTED_PARTIES

__all__ = ["faults_together"]

MAX_GIVEN_PARTIES = 20
"""Most parties whose values stand in the file: 2**20 numbers; `ml.game` itself takes more."""

MAX_TRAINED_PARTIES = 16
"""Most parties whose coalitions are all trained: 2**16 - 1 models."""


MAX_CAP = 1_000
"""Largest cap that is read: scores end at 1, and a cap has to fit a posted allocation."""

STEPS_S = 20
"""Seconds that the in-process chain's clock needs, one a block, for what is sent once a round."""


def faults_together(file: ConfigFile, base: Path) -> list[Fault]:
    """What is wrong with a file whose tables are right one by one; paths start at ``base``."""
    faults = _check_names(file)
    n_parties = len(file.party)
    estimate = file.values.method == "estimate"
    most = MAX_PARTIES if estimate else MAX_TRAINED_PARTIES
    most = most if file.values.given is None else MAX_GIVEN_PARTIES
    most = most if file.values.flows is None else MAX_ROUND_PARTIES
    if not 2 <= n_parties <= most:
        faults.append(Fault("party", f"{n_parties} parties; expected 2 to {most}"))
    for index, party in enumerate(file.party):
        if party.cap is not None and party.cap > MAX_CAP:
            message = f"{party.cap} is more than any model is worth; leave the cap out"
            faults.append(Fault(f"party[{index}].cap", message))
    faults += _check_deposits(file)
    least_s = n_parties + STEPS_S if file.chain.simulated else 1
    faults += _check_way(file, least_s)
    if n_parties > MAX_POSTED_PARTIES and file.chain.settlement == "proof":
        message = (
            f"{n_parties} parties cannot be settled by proof; expected {MAX_POSTED_PARTIES} at "
            f'most, or settlement = "signatures"'
        )
        faults.append(Fault("chain.settlement", message))
    if file.values.flows is not None and file.values.given is not None:
        faults.append(Fault("values.flows", "not expected beside values.given: take one of them"))
    elif file.values.flows is not None:
        faults += _check_untrained(file, "flows")
    elif file.values.given is not None:
        faults += _check_given(file, file.values.given, n_parties)
    elif file.external is not None:
        faults += _not_trained(file, ("data", "training"), "models are trained elsewhere")
    elif file.data is None:
        message = "missing; expected the data that models are trained on, values.given or external"
        faults.append(Fault("data", message))
    else:
        faults += data_faults(file.data, file.party, base)
        faults += _check_buyers(file) if estimate else []
    if not estimate:
        faults += [
            Fault(f"values.{key}", 'not expected: nothing is sampled; method = "estimate" samples')
            for key in ("choose", "stop")
            if key in file.values.model_fields_set
        ]
    if estimate and file.round.monotone in COVER_KINDS:
        message = "a sample of coalitions cannot be covered; estimates allow for noise themselves"
        faults.append(Fault("round.monotone", message))
    return faults


def _check_buyers(file: ConfigFile) -> list[Fault]:
    """An estimate samples coalitions of those who bring data; what buyers pay follows."""
    n_holders = len(file.party) - len(buyers_of(file.party))
    if n_holders == len(file.party):
        return []
    faults = []
    if n_holders < 2:
        message = f'{n_holders} parties bring data; expected 2 or more, or method = "exact"'
        faults.append(Fault("values.method", message))
    message = "not expected beside buyers without data: their payments are no part of the sample"
    if file.values.choose == "payments":
        faults.append(Fault("values.choose", message))
    if file.values.stop is not None:
        faults.append(Fault("values.stop", message))
    return faults


def _check_names(file: ConfigFile) -> list[Fault]:
    first: dict[str, int] = {}
    faults = []
    for index, party in enumerate(file.party):
        if (earlier := first.setdefault(as_read(party.name), index)) < index:
            message = f"{party.name!r} is the name of party {earlier} too"
            faults.append(Fault(f"party[{index}].name", message))
    return faults


def _check_way(file: ConfigFile, least_s: int) -> list[Fault]:
    """Deadlines that leave time for every step, and everybody's account on a real chain."""
    faults = []
    chain = file.chain
    for name in ("funding_s", "settlement_s"):
        if getattr(chain, name) < least_s:
            message = f"{getattr(chain, name)} s; expected at least {least_s}: a block is a second"
            faults.append(Fault(f"chain.{name}", message))
    if file.round.exchange_rate > MAX_EXCHANGE_RATE:
        message = f"the escrow takes at most {MAX_EXCHANGE_RATE} base units a unit of value"
        faults.append(Fault("round.exchange_rate", message))
    if chain.simulated and chain.asset is not None:
        message = "not expected: a chain that is simulated has no tokens"
        faults.append(Fault("chain.asset", message))
    if chain.simulated:
        own = "not expected: accounts of the in-process chain are made for the round"
        if chain.operator is not None:
            faults.append(Fault("chain.operator", own))
        for index, party in enumerate(file.party):
            if party.address is not None:
                faults.append(Fault(f"party[{index}].address", own))
        return faults
    if chain.provider is not None:
        message = "not expected: the in-process chain has its own; leave one of the two out"
        faults.append(Fault("chain.chain_id", message))
    needed = "missing; on a real chain everybody's account is agreed on: an address, 0x..."
    if chain.operator is None:
        faults.append(Fault("chain.operator", needed))
    faults += [
        Fault(f"party[{index}].address", needed)
        for index, party in enumerate(file.party)
        if party.address is None
    ]
    return faults


def _check_deposits(file: ConfigFile) -> list[Fault]:
    """Each deposit fits an amount, and so do all together: the escrow adds them up."""
    faults = []
    total = 0
    for index, party in enumerate(file.party):
        try:
            units = party.budget_units(file.round.exchange_rate)
        except BridgeError:
            message = f"{party.budget} is more than {MAX_AMOUNT_UNITS} base units"
            faults.append(Fault(f"party[{index}].budget", message))
        else:
            total += file.round.exchange_rate if units is None else units
    if total > MAX_AMOUNT_UNITS:
        message = (
            f"all deposits together are {total} base units; expected at most {MAX_AMOUNT_UNITS}. "
            f"An unlimited budget locks one unit of value. Lower the exchange rate or the budgets."
        )
        faults.append(Fault("round.exchange_rate", message))
    return faults


def _check_untrained(file: ConfigFile, what: str) -> list[Fault]:
    """Nothing that only trainings need, where values or flows are given."""
    faults = _not_trained(file, ("external", "data", "training", "engine"), f"the {what} are given")
    if file.values.method == "estimate":
        faults.append(Fault("values.method", f"not expected: all {what} are given"))
    return faults


def _check_given(file: ConfigFile, given: list[Decimal], n_parties: int) -> list[Fault]:
    faults = _check_untrained(file, "values")
    if n_parties <= MAX_GIVEN_PARTIES and len(given) != 2**n_parties:
        message = f"{len(given)} values; expected 2**{n_parties} = {2**n_parties}"
        faults.append(Fault("values.given", message))
    for index, value in enumerate(given):
        if not 0 <= value <= 1:
            message = f"found {value}; expected a score in [0, 1]"
            faults.append(Fault(f"values.given[{index}]", message))
    if given and given[0] != 0:
        message = f"the empty coalition has value {given[0]}; expected 0"
        faults.append(Fault("values.given[0]", message))
    if not faults and 2 <= n_parties <= MAX_GIVEN_PARTIES:
        faults += _check_table(file, [float(value) for value in given])
    return faults


def _not_trained(file: ConfigFile, tables: Sequence[str], why: str) -> list[Fault]:
    """Keys that say how to train here, where nothing is trained here."""
    message = f"not expected: {why}, nothing is trained here"
    faults = [
        Fault(name, message)
        for name in tables
        if name in file.model_fields_set and getattr(file, name) is not None
    ]
    return faults + [
        Fault(f"party[{index}].{key}", message)
        for index, party in enumerate(file.party)
        for key in sorted(party.model_fields_set & PARTY_KEYS)
    ]


def _check_table(file: ConfigFile, given: list[float]) -> list[Fault]:
    """What the stage `train` would say of given values, before anybody locks a deposit."""
    from ml.game import ValueTable  # numpy; a configuration without values is checked without it

    try:
        table = ValueTable(given)
        if file.monotone == "refuse":
            table.require_monotone()
    except ValueTableError as error:
        return [Fault("values.given", with_names(error, [party.name for party in file.party]))]
    return []
