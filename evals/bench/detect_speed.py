"""CPU time of the detector's hot paths, one bucket of every series and a day's refit, beside NumPy in the same run."""

import statistics
from collections.abc import Callable

import numpy as np

from agent.detectors.noise import worst_days
from agent.detectors.refit import refit
from agent.detectors.settings import DetectorSettings
from agent.detectors.stream import Plan, Stream
from evals.bench.series_world_shapes import DAY, HOURS, Floats

Row = dict[str, object]
Clock = Callable[[], float]

SERIES = 100_000
REFIT_SERIES = 10_000
_ROUNDS = 5


def speed_rows(
    *, cpu: Clock, tell: Callable[[str], None], series: int = SERIES, refit_series: int = REFIT_SERIES
) -> list[Row]:
    """Measure both; `cpu` gives the CPU seconds of this process. Compiling is left out, and memory is warm."""
    tell(f"tick over {series} series")
    rows = _tick_rows(series, cpu)
    tell(f"refit of {refit_series} x {HOURS}")
    return rows + _refit_rows(refit_series, cpu)


def _tick_rows(series: int, cpu: Clock) -> list[Row]:
    settings = DetectorSettings()
    today, past, buckets = _day(series, settings)
    ours = Stream(today, past, settings)
    theirs = NumpyTick(today, past, settings)
    ours.tick(buckets[0])
    theirs.tick(buckets[0])
    seconds: dict[str, list[float]] = {"bursar": [], "NumPy": []}
    for usd in buckets[1:]:
        start = cpu()
        told = ours.tick(usd)
        seconds["bursar"].append(cpu() - start)
        start = cpu()
        same = theirs.tick(usd)
        seconds["NumPy"].append(cpu() - start)
        if not np.allclose(told.ratio, same, rtol=1e-3, atol=1e-4):
            raise AssertionError("the tick and its NumPy form disagree")
    milliseconds = {name: 1000 * statistics.median(taken) * SERIES / series for name, taken in seconds.items()}
    value = round(milliseconds["bursar"], 3)
    return [
        {
            "what": "tick, ms CPU per 100k series",
            "value": value,
            "numpy": round(milliseconds["NumPy"], 3),
            "series": series,
            "target": "<= 5",
            "ok": value <= 5,
        }
    ]


def _day(series: int, settings: DetectorSettings) -> tuple[Plan, Floats, Floats]:
    """A plan, the excess before it and the day's spend: (t, s), (DAY, s), of arbitrary but finite figures."""
    rng = np.random.default_rng(1)
    baseline = rng.gamma(4, 2, (DAY, series))
    threshold = rng.gamma(9, 2, (DAY, len(settings.windows), series)).astype(np.float32) + 1
    known = np.ones((DAY, series), dtype=np.bool_)
    past = rng.normal(0, 1, (settings.windows[-1], series))
    return Plan(baseline, baseline * 0.3, threshold, known), past, baseline * rng.gamma(9, 1 / 9, (DAY, series))


class NumpyTick:
    """The tick as somebody would write it with NumPy: a ring of running totals, a vector operation per step."""

    def __init__(self, today: Plan, past: Floats, settings: DetectorSettings) -> None:
        """Start a day with its plan and the excess of the buckets before it."""
        self._plan, self._windows, self._bucket = today, settings.windows, 0
        self._ring = np.zeros((settings.windows[-1] + 1, past.shape[1]))
        self._ring[1:] = np.cumsum(past, axis=0)
        self._at = settings.windows[-1]
        self.strongest = np.zeros(past.shape[1], dtype=np.int8)
        self.hot = np.zeros(past.shape[1], dtype=np.bool_)

    def tick(self, usd: Floats) -> Floats:
        """Excess over threshold of the strongest window: (s,) -> (s,); `strongest` and `hot` as the stream has them."""
        at, length = self._bucket, len(self._ring)
        excess = np.where(self._plan.known[at], usd - self._plan.baseline[at], 0.0)
        self.hot = excess > self._plan.warm[at]
        after = (self._at + 1) % length
        np.add(self._ring[self._at], excess, out=self._ring[after])
        best = np.full(len(usd), -np.inf)
        for k, window in enumerate(self._windows):
            over = (self._ring[after] - self._ring[(after - window) % length]) / self._plan.threshold[at, k]
            self.strongest[over > best] = k
            np.maximum(best, over, out=best)
        self._at, self._bucket = after, at + 1
        return best


def _refit_rows(series: int, cpu: Clock) -> list[Row]:
    settings = DetectorSettings()
    history = np.random.default_rng(2).gamma(4, 2, (HOURS, series))
    across = np.ascontiguousarray(np.concatenate([history, np.zeros((DAY, series))]).T)
    first = np.zeros(series, dtype=np.int64)

    def ours() -> Floats:
        return refit(history, windows=settings.windows, buckets_per_day=DAY)

    def numpy() -> dict[int, Floats]:
        return worst_days(across, first=first, windows=settings.windows, buckets_per_day=DAY, start=HOURS)

    kernel, batch = ours(), numpy()
    for k, window in enumerate(settings.windows):
        if not np.allclose(kernel[k].T, batch[window][:, 0]):
            raise AssertionError("the refit and its NumPy form disagree")
    seconds = [_best(task, cpu) for task in (ours, numpy, lambda: float(history.sum()))]
    times, reads = seconds[1] / seconds[0], seconds[0] / seconds[2]
    shared: Row = {"series": series, "seconds_per_100k": round(seconds[0] * SERIES / series, 2)}
    return [
        {
            "what": "refit, times as fast as chunked NumPy",
            "value": round(times, 2),
            "numpy": round(seconds[1] * SERIES / series, 2),
            **shared,
            "target": ">= 7",
            "ok": times >= 7,
        },
        {
            "what": "refit, reads of the matrix that it takes",
            "value": round(reads, 2),
            "read_gb_per_second": round(history.nbytes / seconds[2] / 1e9, 1),
            **shared,
            "target": "<= 10",
            "ok": reads <= 10,
        },
    ]


def _best(task: Callable[[], object], cpu: Clock) -> float:
    taken = []
    for _ in range(_ROUNDS):
        start = cpu()
        task()
        taken.append(cpu() - start)
    return max(min(taken), 1e-9)
