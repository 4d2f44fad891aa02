"""Sample orders are permutations that depend on their key alone; schedules lose no sample."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.training.stack.orders import Schedule, Trainee, sample_order

CPU = torch.device("cpu")


@given(st.text(max_size=8), st.integers(0, 50), st.integers(1, 300))
@settings(max_examples=40)
def test_an_order_is_a_permutation(key, epoch, n_samples):
    order = sample_order(key, epoch, n_samples, CPU)
    assert sorted(order.tolist()) == list(range(n_samples))


def test_orders_of_other_epochs_and_keys_differ():
    orders = [sample_order(key, epoch, 100, CPU) for key in "ab" for epoch in (0, 1)]
    assert len({tuple(order.tolist()) for order in orders}) == 4
    assert torch.equal(orders[0], sample_order("a", 0, 100, CPU))


def test_orders_are_spread_evenly():
    firsts = [int(sample_order(str(k), 0, 10, CPU)[0]) for k in range(2000)]
    counts = np.bincount(firsts, minlength=10)
    assert counts.min() > 140
    assert counts.max() < 260


@pytest.mark.parametrize("window_steps", [1, 3, 7, 1000])
def test_a_schedule_shows_every_sample_once_an_epoch(window_steps):
    rows = [np.arange(100, 123), np.arange(5), np.array([7, 7, 8])]
    trainees = [Trainee.for_epochs(r, 3, 4, str(k)) for k, r in enumerate(rows)]
    for model, trainee in enumerate(trainees):
        schedule, seen = Schedule(trainees, 4, CPU, window_steps), []
        for step in range(trainee.n_steps):
            batch, shares = schedule.batch(step, 3)
            real = shares[model] > 0
            assert float(shares[model].sum()) == pytest.approx(1)
            assert float(shares[model][real].max()) == pytest.approx(1 / int(real.sum()))
            seen += batch[model][real].tolist()
        n = len(rows[model])
        for epoch in range(3):
            assert sorted(seen[epoch * n : (epoch + 1) * n]) == sorted(rows[model].tolist())
