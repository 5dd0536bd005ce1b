"""The benchmark of the stream: every row it promises, and targets that follow from the clock."""

from itertools import count

from evals.bench.stream_speed import measure


def test_each_method_has_a_row_and_the_targets_follow() -> None:
    """With a clock that ticks once a reading every piece of work takes one second, and both targets are missed."""
    clock = count()
    rows, targets = measure(series=1_000, repeats=1, cpu=lambda: float(next(clock)))
    assert [(row.what, row.method) for row in rows] == [
        ("tick", "bursar"),
        ("tick", "NumPy"),
        ("refit", "bursar"),
        ("refit", "NumPy, in chunks"),
        ("one read of the history", "NumPy"),
    ]
    assert rows[0].cpu_s == 1 / 24
    assert [(target.value, target.ok) for target in targets] == [(round(1000 * 100 / 24, 3), False), (1.0, False)]
