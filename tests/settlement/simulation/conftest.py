"""What tests of the simulator share: clean workers, the three parties, a quick scenario."""

import pytest

from settlement.simulation import runner
from settlement.simulation.arena.world import World

THREE = [0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]


@pytest.fixture(autouse=True)
def fresh_workers():
    """No world and no cell of another test."""
    runner._world.cache_clear()
    runner._cells.clear()
    yield
    runner._world.cache_clear()
    runner._cells.clear()


@pytest.fixture(scope="session")
def world():
    """One contract and its twin, on the quickest EVM there is."""
    return World("auto")


@pytest.fixture
def tables():
    """A scenario of the three parties, two replicates, as its file would say it."""
    return {
        "scenario": {"name": "three parties", "replicates": 2},
        "game": {"kind": "table", "values": list(THREE)},
        "round": {"settlement": "proof"},
        "party": [{"name": "a", "budget": 0.2}, {"name": "b"}, {"name": "c"}],
    }


@pytest.fixture
def mixed():
    """Five parties with behaviours, operators and troubles of every kind."""
    behaviours = [
        "honest",
        {"name": "honest", "looks": False},
        "never_funds",
        "funds_share",
        "hides_budget",
        "leaves_after_funding",
        "refuses_to_sign",
        {"name": "refuses_to_sign", "revoking": True},
        "replicates",
        "withholds_pieces",
        "splits_in_two",
        "free_rider",
        "colluding_group",
        {"name": "best_reply", "grid": 3},
    ]
    operators = [
        "honest_operator",
        "vanishing_operator",
        "lying_operator",
        {"name": "lying_operator", "about": "game", "favours": 2},
    ]
    families = ["saturating", "coverage", "airport", "additive", "glove", "unanimity"]
    return {
        "scenario": {"name": "everything", "replicates": 30},
        "game": {"kind": "family", "family": {"one_of": families}},
        "round": {"settlement": ["proof", "signatures"]},
        "party": [
            {
                "name": "p",
                "count": 5,
                "behaviour": {"one_of": behaviours},
                "budget": {"uniform": [0.0, 0.5]},
                "private_rate": {"one_of": [0.5, 1.0, 1.5]},
            }
        ],
        "operator": {"behaviour": {"one_of": operators}},
        "chain": {
            "reverted_sends": 0.05,
            "lost_replies": 0.05,
            "delayed_blocks": 0.05,
            "fee_spikes": 0.05,
            "late_by_a_second": 0.05,
            "reorganisations": 0.05,
        },
    }
