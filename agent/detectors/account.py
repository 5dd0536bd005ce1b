"""What one scope spent over a window, and what it should have."""

from typing import NamedTuple

import numpy as np

from agent.detectors.series import fold
from agent.detectors.settings import DetectorSettings
from agent.detectors.spend import expected_spend
from store.model.money import NANOS_PER_CENT
from store.model.usage import Cube, Scope, Window


class Account(NamedTuple):
    """Nano-USD at whole cents."""

    actual_nanos: int
    baseline_nanos: int

    @property
    def excess_nanos(self) -> int:
        """Actual minus baseline."""
        return self.actual_nanos - self.baseline_nanos


def account(cube: Cube, scope: Scope, window: Window, settings: DetectorSettings) -> Account:
    """Actual and baseline spend of a scope over the buckets that start in the window.

    The baseline of each bucket is told from earlier ones, as in detection; where nothing is known there is no excess.
    The cube must reach back far enough for it (`settings.history_days`).
    """
    return _sums(cube.take(cube.mask(scope)), window, settings)


def with_displaced(found: Account, cube: Cube, scope: Scope, window: Window, settings: DetectorSettings) -> Account:
    """The account of one model, with what its apps' other models would have cost added to the baseline.

    A model that took over another's requests did not cost all of its own spend more. Its apps are those that used it in
    the window. Other scopes stay as they are.
    """
    if scope.get("model") is None or not {"team", "app"} <= cube.codes.keys():
        return found
    wide = Scope(dims=tuple((name, value) for name, value in scope.dims if name != "model"))
    mine = cube.mask(scope)
    start, end = int(window.start.timestamp()), int(window.end.timestamp())
    app = cube.codes["team"].astype(np.int64) * len(cube.values["app"]) + cube.codes["app"]
    used = np.unique(app[mine & (cube.bucket >= start) & (cube.bucket < end)])
    others = _sums(cube.take(cube.mask(wide) & ~mine & np.isin(app, used)), window, settings)
    displaced = min(max(-others.excess_nanos, 0), max(found.excess_nanos, 0))
    return found._replace(baseline_nanos=found.baseline_nanos + displaced)


def _sums(cube: Cube, window: Window, settings: DetectorSettings) -> Account:
    series = fold(cube, until=window.end, dims=()).by(())
    if not len(series.usd):
        return Account(0, 0)
    low = max(0, (int(window.start.timestamp()) - series.start_s) // series.bucket_seconds)
    baseline, known = expected_spend(series, settings)
    actual_cents = round(float(series.usd[0, low:].sum()) * 100)
    expected = np.where(known, baseline, series.usd)
    baseline_cents = round(float(expected[0, low:].sum()) * 100)
    return Account(actual_cents * NANOS_PER_CENT, baseline_cents * NANOS_PER_CENT)
