"""`GivenFlows`: payoff flows that come from elsewhere, checked on entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import FlowsError, NegativeFlowError
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.reading import as_floats

__all__ = ["ROW_TOLERANCE", "GivenFlows", "sparse_flows"]

ROW_TOLERANCE = 1e-9
"""How far own value and flows of a party may be from v(N), as a share of v(N), or of 1 if less."""


@dataclass(frozen=True, eq=False, init=False)
class GivenFlows:
    """Payoff flows, own values and v(N) of any number of parties, which satisfy eq. (4).

    Parameters
    ----------
    flows : float64 or scipy.sparse, shape (n, n)
        ``flows[payer, payee]`` in value units.
    own_values : float64, shape (n,)
        v(i).
    grand_value : float
        v(N).

    Raises
    ------
    FlowsError, NegativeFlowError
        If shapes do not fit, a number is not finite, a flow or an own value is negative, a party
        pays itself, or v(i) and the flows of party i do not add up to v(N) within
        `ROW_TOLERANCE`.

    Notes
    -----
    What a row misses within the tolerance is rounding; it goes to the own value, so that eq. (4)
    then holds to the last digits.
    """

    flows: Any
    """Dense float64 array, or CSR if it was given sparse."""
    own_values: FloatArray
    grand_value: float

    def __init__(self, flows: Any, own_values: npt.ArrayLike, grand_value: float) -> None:
        is_sparse = hasattr(flows, "tocsr")
        matrix = flows.tocsr() if is_sparse else as_floats(flows, "Flows", FlowsError)
        own = as_floats(own_values, "Own values", FlowsError)
        single = as_floats(grand_value, "v(N)", FlowsError)
        if single.ndim:
            raise FlowsError(f"v(N) has shape {single.shape}; expected a single number.")
        grand = float(single)
        if own.ndim != 1 or matrix.shape != (len(own), len(own)) or len(own) < 2:
            raise FlowsError(
                f"Flows have shape {matrix.shape} and own values {own.shape}; expected (n, n) and "
                "(n,) for at least 2 parties."
            )
        _check_numbers(matrix.data if is_sparse else matrix, own, grand)
        _check_signs(matrix, own, is_sparse)
        sums = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
        missed = own + sums - grand
        tolerance = ROW_TOLERANCE * max(1.0, grand)
        party = int(np.argmax(np.abs(missed)))
        if abs(missed[party]) > tolerance:
            raise FlowsError(
                f"v(i) of party {party} is {own[party]:.12g} and its flows add up to "
                f"{sums[party]:.12g}, together {own[party] + sums[party]:.12g}; expected v(N) = "
                f"{grand:.12g} within {tolerance:g}, eq. (4). Each row of flows is v(N) - v(i).",
                party=party,
            )
        object.__setattr__(self, "flows", matrix)
        object.__setattr__(self, "own_values", np.maximum(grand - sums, 0.0))
        object.__setattr__(self, "grand_value", grand)

    @property
    def n_parties(self) -> int:
        """Count of the parties."""
        return len(self.own_values)

    @property
    def is_sparse(self) -> bool:
        """Whether only the flows that are not zero are held."""
        return hasattr(self.flows, "tocsr")


def sparse_flows(
    payers: npt.ArrayLike, payees: npt.ArrayLike, amounts: npt.ArrayLike, n_parties: int
) -> Any:
    """Flows of which most are zero, as a CSR matrix of shape (n, n).

    Raises
    ------
    FlowsError
        If the three lists differ in length, a party does not exist or a pair is there twice.
    """
    from scipy import sparse

    rows, columns = np.asarray(payers), np.asarray(payees)
    values = as_floats(amounts, "Flows", FlowsError)
    if not rows.shape == columns.shape == values.shape == (rows.size,):
        raise FlowsError(
            f"{rows.size} payers, {columns.size} payees and {values.size} amounts; expected three "
            "lists of the same length."
        )
    if rows.dtype.kind not in "iu" or columns.dtype.kind not in "iu":
        raise FlowsError(
            f"Payers are of type {rows.dtype} and payees of {columns.dtype}; expected party "
            "numbers."
        )
    for what, found in (("Payer", rows), ("Payee", columns)):
        if rows.size and not 0 <= int(found.min()) <= int(found.max()) < n_parties:
            worst = int(found.min()) if int(found.min()) < 0 else int(found.max())
            raise FlowsError(f"{what} {worst} of {n_parties} parties; expected 0 to n - 1.")
    places = rows.astype(np.int64) * n_parties + columns.astype(np.int64)
    if len(np.unique(places)) < len(places):
        raise FlowsError("Some pair of payer and payee is there twice; expected one flow a pair.")
    return sparse.csr_array((values, (rows, columns)), shape=(n_parties, n_parties))


def _check_numbers(entries: Any, own: FloatArray, grand: float) -> None:
    for what, numbers in (("Flows", entries), ("Own values", own), ("v(N)", np.array([grand]))):
        if not np.isfinite(numbers).all():
            raise FlowsError(f"{what} hold NaN or infinity; expected finite numbers.")
    # The same figures as `ValueTable` takes: below, floating point has no digits; above, sums
    # overflow.
    if grand != 0 and not 1e-300 <= grand <= 1e300 / len(own):
        raise FlowsError(
            f"v(N) is {grand}; expected 0, or 1e-300 to {1e300 / len(own):.3g}. Choose another "
            "unit of value."
        )


def _check_signs(matrix: Any, own: FloatArray, is_sparse: bool) -> None:
    diagonal = matrix.diagonal()
    for party in np.flatnonzero(diagonal):
        raise FlowsError(
            f"Party {party} pays itself {diagonal[party]:g}; expected a zero diagonal.",
            party=int(party),
        )
    for party in np.flatnonzero(own < 0):
        raise FlowsError(
            f"v(i) of party {party} is {own[party]:g}; expected none below 0.", party=int(party)
        )
    entries = matrix.data if is_sparse else matrix
    if entries.min(initial=0.0) >= 0:
        return
    if is_sparse:
        pairs = matrix.tocoo()
        place = int(np.argmin(pairs.data))
        payer, payee = int(pairs.coords[0][place]), int(pairs.coords[1][place])
    else:
        payer, payee = divmod(int(np.argmin(matrix)), len(own))
    raise NegativeFlowError(
        f"Flow from party {payer} to party {payee} is {matrix[payer, payee]:.6g} "
        f"({int((entries < 0).sum())} negative in all); expected none below 0: a party does not "
        "pay for a loss. The game behind these flows is not monotone; cover it first.",
        party=payer,
        coalition=1 << payee,
    )
