"""A part of a cube knows what its own rows know, and nothing else."""

from datetime import UTC, datetime

import numpy as np

from store.model.usage import Cube, Scope, Window, scopes_of

HOUR = 3600
START = datetime(2026, 11, 2, tzinfo=UTC)


def cube() -> Cube:
    """Three hours: old model, old model, new model."""
    return Cube(
        window=Window(start=START, end=datetime(2026, 11, 2, 3, tzinfo=UTC)),
        bucket_seconds=HOUR,
        bucket=np.array([int(START.timestamp()) + h * HOUR for h in range(3)], dtype=np.int64),
        codes={"model": np.array([1, 1, 0], dtype=np.int32), "team": np.array([0, 0, 0], dtype=np.int32)},
        values={"model": ["new", "old"], "team": ["search"]},
        measures={"cost_nanos": np.array([1, 2, 4], dtype=np.int64)},
    )


def test_an_earlier_window_does_not_know_a_later_model() -> None:
    """Cutting a cube by time drops the names that only later rows have: a backtest must not see the future."""
    early = cube().within(Window(start=START, end=datetime(2026, 11, 2, 2, tzinfo=UTC)))
    assert early.values == {"model": ["old"], "team": ["search"]}
    assert scopes_of(early, ("model",)) == [Scope.of(model="old")]
    assert early.total("cost_nanos") == 3


def test_a_cut_keeps_every_row_under_its_own_name() -> None:
    """The rows of a scope are the same before and after another cut."""
    late = cube().take(np.array([False, True, True]))
    assert late.take(late.mask(Scope.of(model="new"))).total("cost_nanos") == 4
    assert late.take(late.mask(Scope.of(model="old"))).total("cost_nanos") == 2
    assert late.take(late.mask(Scope.of(model="none"))).rows == 0


def test_summed_over_a_dimension_nothing_is_lost() -> None:
    """Rows that differ in the dropped dimension only become one; no dimension at all leaves a row per bucket."""
    both = cube()._replace(bucket=np.full(3, int(START.timestamp()), dtype=np.int64))
    by_model = both.over(("model",))
    assert by_model.codes["model"].tolist() == [0, 1]
    assert by_model.measures["cost_nanos"].tolist() == [4, 3]
    assert by_model.codes.keys() == by_model.values.keys() == {"model"}
    assert both.over(()).measures["cost_nanos"].tolist() == [7]
    assert cube().take(np.zeros(3, dtype=np.bool_)).over(("team",)).rows == 0
