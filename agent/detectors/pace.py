"""Budgets against what will have been spent, and how fast they burn.

Burn rate 1 spends exactly the budget by the end of its period. It is alarming where a long and a short window agree:
the long one says that it matters, the short one that it still goes on.
Source: Beyer et al., The Site Reliability Workbook (2018), chapter 5, multiwindow, multi-burn-rate alerts.
"""

from typing import Literal, NamedTuple

import numpy as np

from agent.detectors.forecast import PeriodEnd
from agent.detectors.series import Matrix

Standing = Literal["exceeded", "over", "perhaps_over", "within", "unknown"]

WINDOWS_HOURS = (1, 6, 24, 72)
_ALARMS = ((6, 1, 6.0), (72, 6, 1.5))
"""(long, short, rate): a twentieth of a month's budget in six hours, a seventh in three days."""


class Burn(NamedTuple):
    """Burn rates by window length in hours, and whether two windows agree that the budget burns too fast."""

    rates: dict[int, float]
    fast: bool


def burn(hourly: Matrix, *, budget_usd: float, period_hours: float, from_hour: int = 0) -> Burn:
    """The burn rates at the end of `hourly`.

    Shape: hourly (t,) USD per hour, oldest first. Hours before `from_hour` belong to an earlier period and are left
    out. A window that is not full yet is judged by its own length.
    """
    rates: dict[int, float] = {}
    for hours in WINDOWS_HOURS:
        window = hourly[max(from_hour, len(hourly) - hours) :]
        spent = float(np.sum(window))
        rates[hours] = spent / len(window) * period_hours / budget_usd if len(window) else 0.0
    fast = any(rates[long] >= rate and rates[short] >= rate for long, short, rate in _ALARMS)
    return Burn(rates, fast)


def standing(end: PeriodEnd, budget_usd: float) -> Standing:
    """Where a budget stands: what is spent, else the interval of the forecast against it."""
    if end.spent > budget_usd:
        return "exceeded"
    if end.low is None or end.high is None:
        return "unknown"
    if end.low > budget_usd:
        return "over"
    return "perhaps_over" if end.high > budget_usd else "within"
