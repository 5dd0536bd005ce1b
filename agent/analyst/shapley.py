"""Fair shares of a change among factors that act together."""

from collections.abc import Callable
from math import factorial

import numpy as np
import numpy.typing as npt


def shapley(factors: int, value: Callable[[tuple[bool, ...]], npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Split value(all) - value(none), row by row, among the factors: one row of shares per factor, in order.

    `value` gets, per factor, whether it has its new state. A share is the factor's marginal effect averaged over all
    orders in which the factors could have changed; the shares of a row add up to its whole change. 2^factors
    evaluations.

    Source: L. S. Shapley, "A value for n-person games", 1953; for the decomposition of a change, A. F. Shorrocks,
    "Decomposition procedures for distributional analysis", 2013.
    """
    weights = [factorial(k) * factorial(factors - k - 1) / factorial(factors) for k in range(factors)]
    shares: npt.NDArray[np.float64] | None = None
    for state in range(1 << factors):
        new = tuple(bool(state >> j & 1) for j in range(factors))
        size, worth = sum(new), value(new)
        if shares is None:
            shares = np.zeros((factors, *worth.shape))
        for j in range(factors):
            shares[j] += worth * (weights[size - 1] if new[j] else -weights[size])
    assert shares is not None
    return shares
