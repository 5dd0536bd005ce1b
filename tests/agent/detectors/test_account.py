"""What a scope spent and should have: of a model that took over another's requests only what it costs more."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.detectors.account import account, with_displaced
from agent.detectors.settings import DetectorSettings
from store.model.usage import CUBE_MEASURES, Cube, Scope, Window

START = datetime(2026, 5, 4, tzinfo=UTC)
HOURS = 21 * 24
LATE = HOURS - 6
WINDOW = Window(start=START + timedelta(hours=LATE), end=START + timedelta(hours=HOURS))
NEW = Scope.of(team="t", app="a", model="dear")
SETTINGS = DetectorSettings()


def company(*, old_after: float, new_after: float, elsewhere_after: float = 5.0) -> Cube:
    """Three weeks of app a at 10 USD an hour on `old`, and of app b at 5; the last six hours as given, with `dear`."""
    rows = [(h, "a", "old", 10.0 if h < LATE else old_after) for h in range(HOURS)]
    rows += [(h, "a", "dear", new_after) for h in range(LATE, HOURS)]
    rows += [(h, "b", "old", 5.0 if h < LATE else elsewhere_after) for h in range(HOURS)]
    measures = {name: np.zeros(len(rows), dtype=np.int64) for name in CUBE_MEASURES}
    measures["cost_nanos"] = np.array([round(usd * 1e9) for *_, usd in rows], dtype=np.int64)
    measures["requests"] = np.ones(len(rows), dtype=np.int64)
    return Cube(
        window=Window(start=START, end=WINDOW.end),
        bucket_seconds=3600,
        bucket=np.array([int(START.timestamp()) + 3600 * h for h, *_ in rows], dtype=np.int64),
        codes={
            "team": np.zeros(len(rows), dtype=np.int32),
            "app": np.array([app == "b" for _, app, *_ in rows], dtype=np.int32),
            "model": np.array([model == "dear" for _, _, model, _ in rows], dtype=np.int32),
        },
        values={"team": ["t"], "app": ["a", "b"], "model": ["old", "dear"]},
        measures=measures,
    )


def excess(cube: Cube, scope: Scope) -> float:
    """In USD, once the other models are thought of."""
    found = account(cube, scope, WINDOW, SETTINGS)
    # A model without history has no baseline of its own: what it spent is its excess, as its spike says.
    found = found._replace(baseline_nanos=0)
    return with_displaced(found, cube, scope, WINDOW, SETTINGS).excess_nanos / 1e9


@pytest.mark.parametrize(
    ("cube", "usd"),
    [
        (company(old_after=0, new_after=25), 90),
        (company(old_after=10, new_after=25), 150),
        (company(old_after=0, new_after=4), 0),
        (company(old_after=0, new_after=25, elsewhere_after=0), 90),
    ],
)
def test_a_model_is_charged_with_what_it_costs_more_than_the_one_it_displaced(cube: Cube, usd: float) -> None:
    """All of it where nothing was displaced, nothing where it is cheaper; another app's quiet hours do not count."""
    assert excess(cube, NEW) == pytest.approx(usd, abs=0.05)
    assert excess(cube, Scope.of(model="dear")) == pytest.approx(usd, abs=0.05)


def test_a_scope_without_a_model_stays_as_it_is() -> None:
    """An app's own excess holds what its models took from each other."""
    cube = company(old_after=0, new_after=25)
    found = account(cube, Scope.of(team="t", app="a"), WINDOW, SETTINGS)
    assert with_displaced(found, cube, Scope.of(team="t", app="a"), WINDOW, SETTINGS) == found
    assert found.excess_nanos == pytest.approx(90e9, abs=5e7)
