"""When an app is busy: its share of the peak in every hour of the week, and which release is out."""

import math
from datetime import datetime, timedelta
from functools import lru_cache

from evals.world.company import AppSpec

DEPLOY_HOUR = 10


def activity(app: AppSpec, hour: datetime) -> float:
    """The share of the app's peak that the hour has on average, in [0, about 1.1]."""
    return _week(app.rhythm, app.weekend)[hour.weekday() * 24 + hour.hour]


def release_at(app: AppSpec, hour: datetime) -> str:
    """The release that answers in that hour, such as "2026.11.10"; one goes out each week."""
    since = (hour.weekday() - app.deploy_day) % 7
    if since == 0 and hour.hour < DEPLOY_HOUR:
        since = 7
    return (hour - timedelta(days=since)).strftime("%Y.%m.%d")


@lru_cache(maxsize=64)
def _week(rhythm: str, weekend: float) -> tuple[float, ...]:
    return tuple(
        _hour(rhythm, day, hour) * (weekend if day >= 5 and rhythm != "weekly" else 1.0)
        for day in range(7)
        for hour in range(24)
    )


def _hour(rhythm: str, day: int, hour: int) -> float:
    if rhythm == "office":
        return 0.03 + 0.62 * _bump(hour, 10.5, 2.2) + 0.75 * _bump(hour, 14.8, 2.4)
    if rhythm == "consumer":
        return 0.08 + 0.45 * _bump(hour, 12.5, 3.0) + 0.85 * _bump(hour, 19.5, 2.8)
    if rhythm == "nightly":
        return 1.0 if 1 <= hour < 4 else 0.0
    if rhythm == "weekly":
        return 1.0 if day == 6 and 2 <= hour < 6 else 0.0
    return 0.75 + 0.2 * _bump(hour, 14.0, 5.0)


def _bump(hour: int, centre: float, width: float) -> float:
    away = abs(hour + 0.5 - centre)
    return math.exp(-0.5 * (min(away, 24 - away) / width) ** 2)
