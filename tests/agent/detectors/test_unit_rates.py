"""What a request takes, now and usually, per series."""

from datetime import timedelta

import numpy as np
import pytest

from agent.detectors.unit_rates import unit_rates
from evals.series import START, make_cube, make_series
from store.model.usage import Cube, Scope

UNTIL = START + timedelta(days=28)


def cube_with(**measures: int) -> Cube:
    """Two quiet apps; in the last day each row of app a has these sums, and a hundred requests."""
    cube = make_cube({("a",): make_series("quiet", 1), ("b",): make_series("quiet", 2)}, ("app",))
    late = (cube.bucket >= int((UNTIL - timedelta(days=1)).timestamp())) & (
        np.array(cube.values["app"])[cube.codes["app"]] == "a"
    )
    changed = {"requests": 100, **measures}
    return cube._replace(
        measures={n: np.where(late, changed[n], m) if n in changed else m for n, m in cube.measures.items()}
    )


def test_each_rate_is_over_by_under_in_its_window() -> None:
    """App a's last day shows in its rates of now, and neither in its usual ones nor in app b's."""
    cube = cube_with(cost_nanos=5 * 10**9, output=400, reasoning=100, errors=20, refused=0)
    found = unit_rates(cube, ("app",), until=UNTIL)
    mine, other = found[Scope.of(app="a")], found[Scope.of(app="b")]
    assert mine["usd_per_request"].now == pytest.approx(0.05)
    assert mine["output_tokens_per_request"].now == pytest.approx(4.0)
    assert mine["reasoning_share"].now == pytest.approx(0.25)
    assert mine["reasoning_share"].usual is None, "there was no output at all"
    assert mine["attempts_per_success"].now == pytest.approx(1.25)
    assert mine["attempts_per_success"].usual == other["attempts_per_success"].now == 1.0
    assert mine["cache_hit_ratio"].usual == pytest.approx(0.3, rel=0.05)


def test_the_total_is_one_series_and_silence_has_no_rate() -> None:
    """Without dimensions there is one scope; where nothing succeeded there is no number."""
    ((scope, rates),) = unit_rates(cube_with(), (), until=UNTIL).items()
    assert scope == Scope()
    assert rates["usd_per_request"].now is not None
    later = unit_rates(cube_with(), ("app",), until=UNTIL + timedelta(days=3))
    assert later[Scope.of(app="b")]["usd_per_request"].now is None
