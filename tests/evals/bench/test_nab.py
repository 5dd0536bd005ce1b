"""The NAB score by its formula, and the shipped scores on the published series."""

import math
from pathlib import Path

import numpy as np
import pytest

from agent.detectors.scores import ALARM
from evals.bench.nab import ARTIME, run
from evals.bench.nab_data import NabSeries, read_nab
from evals.bench.nab_score import PROFILES, Windows, best_threshold, nab_score, probation
from store.errors import BadInput

DATA = Path(__file__).parents[3] / ".." / "shared" / "data" / "nab"
STANDARD, LOW_FP, LOW_FN = PROFILES


def windows() -> list[Windows]:
    return [Windows(200, [(100, 119)]), Windows(100, [])]


def marked(*rows: int) -> list[np.ndarray]:
    score = np.zeros(200)
    score[list(rows)] = 1.0
    return [score, np.zeros(100)]


def sigmoid(x: float) -> float:
    return 2 / (1 + math.exp(5 * x)) - 1


def test_nothing_is_nought_and_the_first_row_is_a_hundred() -> None:
    """No detection scores 0, a window found in its first row 100, under every profile."""
    for profile in PROFILES:
        assert nab_score(marked(), windows(), profile, 0.5) == 0
        assert nab_score(marked(100), windows(), profile, 0.5) == pytest.approx(100)


def test_detections_are_worth_what_the_formula_says() -> None:
    """Later in the window is worth less; outside costs, more the further; the first rows do not count."""
    late = sigmoid(-(119 - 110 + 1) / 20) / sigmoid(-1)
    assert nab_score(marked(110, 115), windows(), STANDARD, 0.5) == pytest.approx(100 * (late + 1) / 2)
    assert nab_score(marked(100, 50), windows(), STANDARD, 0.5) == pytest.approx(100 * (2 - 0.11) / 2)
    after = 0.11 * sigmoid((130 - 119) / 19)
    assert nab_score(marked(100, 130), windows(), STANDARD, 0.5) == pytest.approx(100 * (2 + after) / 2)
    assert nab_score(marked(100, 190), windows(), LOW_FP, 0.5) == pytest.approx(100 * (2 - 0.22) / 2)
    assert nab_score(marked(100, 29), windows(), LOW_FN, 0.5) == pytest.approx(100)
    assert probation(200) == 30
    assert probation(50_000) == 750


def test_the_best_threshold_is_the_best_of_all() -> None:
    """What the sweep finds is what trying every threshold finds."""
    rng = np.random.default_rng(4)
    spans = [Windows(300, [(120, 150), (200, 230)]), Windows(300, [(80, 110)])]
    scores = [np.round(rng.random(300) ** 3 + np.isin(np.arange(300), [125, 205, 90]), 2) for _ in spans]
    for profile in PROFILES:
        at, value = best_threshold(scores, spans, profile)
        tried = [nab_score(scores, spans, profile, level) for level in np.unique(np.concatenate(scores))]
        assert value == pytest.approx(max(tried))
        assert nab_score(scores, spans, profile, at) == pytest.approx(value)


def test_a_folder_without_the_series_is_refused(tmp_path: Path) -> None:
    """The message names the folder and the option."""
    with pytest.raises(BadInput, match="--data"):
        read_nab(tmp_path)


def test_the_series_are_all_there() -> None:
    """32 series with 60 windows and 215,960 rows."""
    if not DATA.is_dir():
        pytest.skip("the NAB series are not beside the repository")
    series = read_nab(DATA)
    assert len(series) == 32
    assert sum(len(one.windows.spans) for one in series) == 60
    assert sum(len(one.values) for one in series) == 215_960


def test_the_report_on_a_part_of_the_series() -> None:
    """On the shorter series every window but a few is found, and the report has published rows and three targets."""
    if not DATA.is_dir():
        pytest.skip("the NAB series are not beside the repository")
    short = [one for one in read_nab(DATA) if len(one.values) < 2600]
    report = run(short, cpu=lambda: 1.0)
    assert sum(int(str(row["found"])) for row in report.series) >= 11
    assert {"ARTime", "Numenta HTM"} <= {str(row["method"]) for row in report.scores}
    assert [target.target for target in report.targets] == [f"> {bar}" for bar in ARTIME]
    assert report.scores[0]["threshold"] == ALARM
    assert isinstance(short[0], NabSeries)
