"""What is kept between looks: the same as without it, learned once a day, and anew where the past was restated."""

from datetime import timedelta

import numpy as np

from agent.detectors.detect import detect
from agent.detectors.learned import Learned
from agent.detectors.noise import worst_days
from agent.detectors.series import Ints, Matrix
from agent.detectors.settings import DetectorSettings
from evals.series import Kind, Series, make_cube, make_series

WINDOWS = (1, 3, 24)
START = 30 * 24


class Counting:
    """worst_days, and for how many series it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(
        self, usd: Matrix, *, first: Ints, windows: tuple[int, ...], buckets_per_day: int, start: int
    ) -> dict[int, Matrix]:
        self.asked.append(len(usd))
        return worst_days(usd, first=first, windows=windows, buckets_per_day=buckets_per_day, start=start)


def company(hours: int) -> tuple[Matrix, Ints]:
    rng = np.random.default_rng(4)
    return rng.gamma(2.0, 5.0, (5, 33 * 24))[:, :hours], np.array([0, 0, 40, 400, 31 * 24])


def look(learned: Learned, usd: Matrix, first: Ints) -> None:
    """A look gives exactly what worst_days gives."""
    found = learned(usd, first=first, windows=WINDOWS, buckets_per_day=24, start=START)
    plain = worst_days(usd, first=first, windows=WINDOWS, buckets_per_day=24, start=START)
    for window in WINDOWS:
        np.testing.assert_array_equal(found[window], plain[window])


def test_a_day_is_learned_once() -> None:
    """Later looks at a day ask nothing, whichever series they are about; the day after asks for all."""
    counting = Counting()
    learned = Learned(counting)
    for hours in (32 * 24 + 1, 32 * 24 + 9, 32 * 24 + 24):
        usd, first = company(hours)
        look(learned, usd, first)
        look(learned, usd[[3, 1]], first[[3, 1]])
    assert counting.asked == [5]
    look(learned, *company(33 * 24 + 1 - 24 - 24))
    assert counting.asked == [5, 5]


def test_a_restated_past_is_learned_anew() -> None:
    """A series whose past days or first bucket changed is asked about again; today's buckets do not matter."""
    counting = Counting()
    learned = Learned(counting)
    usd, first = company(32 * 24 + 9)
    look(learned, usd, first)
    usd = usd.copy()
    usd[2, 500] += 1
    usd[:, -1] += 1
    look(learned, usd, first)
    first[1] = 3
    look(learned, usd, first)
    assert counting.asked == [5, 1, 1]


def test_what_a_day_did_not_ask_for_is_forgotten() -> None:
    """A series is kept over one turn of the day, and gone after two without a question about it."""
    counting = Counting()
    learned = Learned(counting)
    usd, first = company(32 * 24 + 9)
    learned.turn(1)
    look(learned, usd, first)
    learned.turn(2)
    look(learned, usd[:2], first[:2])
    learned.turn(3)
    look(learned, usd, first)
    assert counting.asked == [5, 3]


def test_no_series_give_empty_tables() -> None:
    """Nothing is learned of nothing."""
    usd, first = company(32 * 24 + 9)
    look(Learned(), usd[:0], first[:0])


def test_looks_say_the_same_with_and_without_it() -> None:
    """Hour by hour over midnight, a service that keeps what it learned finds what a fresh start finds."""
    kinds: tuple[Kind, ...] = ("level_shift", "spike", "ramp", "sparse")
    series: dict[tuple[str, ...], Series] = {(f"app{i}",): make_series(kind, 3 + i) for i, kind in enumerate(kinds)}
    cube, settings = make_cube(series, ("app",)), DetectorSettings(group_bys=((), ("app",)))
    learned, found = Learned(), 0
    for hours in range(28):
        until = cube.window.end - timedelta(hours=hours)
        spikes = detect(cube, until=until, settings=settings, learned=learned)
        assert spikes == detect(cube, until=until, settings=settings)
        found += len(spikes)
    assert found
