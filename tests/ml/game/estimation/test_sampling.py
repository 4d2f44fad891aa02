"""The list of coalitions: each once, grand and singletons first, every run a prefix."""

from itertools import islice
from math import comb

import numpy as np
import pytest

from ml.game.estimation.sampling import stratified_order
from ml.game.tables.coalitions import coalition_matrix


@pytest.mark.parametrize("n_parties", [2, 3, 5, 9])
def test_the_whole_list_holds_every_coalition_once(n_parties):
    order = stratified_order(n_parties, 1, 2**n_parties + 5)
    assert sorted(order) == list(range(1, 2**n_parties))


@pytest.mark.parametrize(("n_parties", "length"), [(6, 40), (12, 300), (30, 1000), (200, 3000)])
def test_a_longer_list_begins_with_the_shorter_one(n_parties, length):
    whole = stratified_order(n_parties, 3, length)
    assert len(set(whole)) == length
    for shorter in (n_parties + 1, length // 2, length - 1):
        assert stratified_order(n_parties, 3, shorter) == whole[:shorter]


def test_grand_and_single_parties_come_first():
    order = stratified_order(5, 0, 10)
    assert order[:6] == [31, 1, 2, 4, 8, 16]


def test_small_and_large_coalitions_are_used_up_first():
    order = stratified_order(16, 0, 4000)
    counts = np.bincount([coalition.bit_count() for coalition in order], minlength=17)
    assert counts[15] == 16
    assert counts[14] == comb(16, 2)
    assert counts[2] == comb(16, 2)
    assert 0 < counts[8] < comb(16, 8)


def test_parties_of_one_size_are_drawn_evenly():
    order = stratified_order(64, 0, 5000)
    bits = coalition_matrix(order, 64)
    of_size = bits[bits.sum(axis=1) == 8].sum(axis=0)
    assert of_size.max() - of_size.min() <= 2


@pytest.mark.parametrize(("n_parties", "size"), [(7, 2), (23, 6), (23, 17), (24, 7)])
def test_coalitions_of_a_size_have_that_size(n_parties, size):
    from ml.game.estimation.sampling import _coalitions_of_size

    drawn = islice(_coalitions_of_size(n_parties, size, 1), 21)
    assert {coalition.bit_count() for coalition in drawn} == {size}


def test_seeds_differ():
    assert stratified_order(20, 0, 200) != stratified_order(20, 1, 200)


@pytest.mark.parametrize(("n_parties", "size"), [(7, 2), (8, 4), (22, 11)])
def test_a_coalition_is_drawn_beside_those_that_it_leaves_out(n_parties, size):
    length = 1 + n_parties + 60
    drawn = stratified_order(n_parties, 2, length)[1 + n_parties :]
    everybody = (1 << n_parties) - 1
    mine = [c for c in drawn if c.bit_count() == size]
    rest = {everybody ^ c for c in drawn} | {1 << p for p in range(n_parties)}
    assert mine
    assert sum(c not in rest for c in mine) <= 1  # the last one may still wait for its partner
