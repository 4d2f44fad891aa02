"""Flows that somebody else has worked out: nothing is measured and no coalition has a value."""

from __future__ import annotations

from ml.game import GivenFlows
from settlement.config.reading import RoundConfig
from settlement.errors import BrokenInvariant
from settlement.store.flows_file import FlowsFileError, read_flows

__all__ = ["given_flows"]


def given_flows(config: RoundConfig) -> GivenFlows:
    """The flows of the file that a configuration names: of its parties, with values in [0, 1].

    Raises
    ------
    FlowsFileError
        If the file cannot be read, its parties are others, or v(N) is above 1.
    """
    path = config.flows_path
    if path is None:
        raise BrokenInvariant("The configuration names no file of flows.")
    file = read_flows(path)
    if file.given.n_parties != len(config.parties):
        raise FlowsFileError(
            f"{path} holds flows of {file.given.n_parties} parties; the round has "
            f"{len(config.parties)}."
        )
    pairs = zip(file.parties or config.party_names, config.party_names, strict=True)
    for party, (found, named) in enumerate(pairs):
        if found != named:
            raise FlowsFileError(
                f"{path} calls party {party} {found!r}; the round calls it {named!r}. Order and "
                f"names must be the same."
            )
    if file.given.grand_value > 1:
        raise FlowsFileError(
            f"{path}: v(N) is {file.given.grand_value:g}; expected 1 at most. Divide all flows and "
            f"values by the same number, and multiply the exchange rate by it."
        )
    return file.given
