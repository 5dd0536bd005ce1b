"""A change is one that was not there before, began near the onset, and reaches traffic; order of time is respected."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.analyst.forensics.changes import look_at_changes
from store.model.usage import CUBE_MEASURES, Cube, Window

ONSET = datetime(2026, 5, 6, 12, tzinfo=UTC)
WINDOW = Window(start=ONSET, end=ONSET + timedelta(hours=4))
WHOLE = Window(start=ONSET - timedelta(days=3), end=WINDOW.end)
STEP = 300


def seen(*spans: tuple[str, float, float, int]) -> Cube:
    """Releases with the hours from and to, counted from the onset, and requests per five minutes."""
    rows = [
        (int(ONSET.timestamp()) + int(at), name, requests)
        for name, first, last, requests in spans
        for at in range(int(first * 3600), int(last * 3600), STEP)
    ]
    names = sorted({name for _, name, _ in rows})
    measures = {name: np.zeros(len(rows), dtype=np.int64) for name in CUBE_MEASURES}
    measures["requests"] = np.array([requests for *_, requests in rows], dtype=np.int64)
    same = np.zeros(len(rows), dtype=np.int32)
    return Cube(
        window=WHOLE,
        bucket_seconds=STEP,
        bucket=np.array([at for at, *_ in rows], dtype=np.int64),
        codes={
            "release": np.array([names.index(name) for _, name, _ in rows], dtype=np.int32),
            "requested_model": same,
            "model": same,
        },
        values={"release": names, "requested_model": ["m"], "model": ["m"]},
        measures=measures,
    )


OLD = ("v1", -72, 4, 10)


@pytest.mark.parametrize(
    ("spans", "share", "minutes"),
    [
        ((("v1", -72, 0, 10), ("v2", 0, 4, 10)), 1.0, 0),
        ((OLD, ("v2", -1, 4, 10)), 0.5, -60),
        ((OLD, ("v2", 0.5, 4, 10)), 0.4667, 30),
    ],
)
def test_a_release_that_began_at_the_onset_is_named(
    spans: tuple[tuple[str, float, float, int], ...], share: float, minutes: float
) -> None:
    """With its share of the requests since, and how long after the onset it was first seen."""
    note = look_at_changes(seen(*spans), WINDOW)
    assert note is not None
    assert note.data["change_kind"] == "release"
    assert note.data["change_share"] == pytest.approx(share, abs=0.001)
    assert note.data["change_minutes_after_onset"] == minutes
    assert "v2" in note.says


@pytest.mark.parametrize(
    "spans",
    [
        (OLD,),
        (OLD, ("v2", -10, 4, 10)),
        (OLD, ("v2", 2, 4, 90)),
        (OLD, ("v2", 0, 4, 1)),
        (("v1", 0, 4, 10),),
    ],
)
def test_what_came_long_before_or_later_or_hardly_at_all_is_no_change(
    spans: tuple[tuple[str, float, float, int], ...],
) -> None:
    """Nor is anything where no earlier traffic is known: there all would look new."""
    assert look_at_changes(seen(*spans), WINDOW) is None
