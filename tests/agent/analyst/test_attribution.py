"""Attribution: the smallest set of attribute combinations that explains a change."""

from itertools import product

import numpy as np
import pytest

from agent.analyst.attribution import LeafTable, attribute, leaf_table

DIMS = {"a": 6, "b": 5, "c": 4, "d": 3}


def planted(causes: list[tuple[dict[str, str], float]], *, noise: float = 0.0, seed: int = 1) -> LeafTable:
    """A full leaf table whose leaves in each cause are multiplied by a factor."""
    draw = np.random.default_rng(seed)
    rows = list(product(*(range(size) for size in DIMS.values())))
    columns = {name: [f"{name}{row[i]}" for row in rows] for i, name in enumerate(DIMS)}
    expected = draw.lognormal(3, 1, len(rows))
    actual = expected * draw.normal(1, noise, len(rows)) if noise else expected.copy()
    for dims, factor in causes:
        hit = np.all([np.array(columns[name]) == value for name, value in dims.items()], axis=0)
        actual[hit] = expected[hit] * factor
    return leaf_table(columns, actual, expected)


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize(
    "dims", [{"a": "a1"}, {"a": "a1", "c": "c2"}, {"a": "a0", "b": "b4", "d": "d1"}], ids=["one", "two", "three"]
)
def test_one_cause_is_found_at_its_own_depth(dims: dict[str, str], noise: float) -> None:
    """A combination of one to three dimensions is named exactly, with the share that it explains."""
    found = attribute(planted([(dims, 3.0)], noise=noise), top=1)
    assert found[0].dims == dims
    assert found[0].explained == pytest.approx(1.0, abs=0.25)


def test_several_causes_are_found_one_after_the_other() -> None:
    """Disjoint causes that move by different factors, one up and one down, are told apart."""
    causes: list[tuple[dict[str, str], float]] = [({"a": "a1", "b": "b1"}, 5.0), ({"c": "c3"}, 0.4)]
    found = attribute(planted(causes, noise=0.01))
    assert [dict(sorted(c.dims.items())) for c in found[:2]] in ([c[0] for c in causes], [c[0] for c in causes[::-1]])


def test_what_was_never_expected_is_named() -> None:
    """A new value with no expectation explains itself; the values that it came with do not."""
    columns = {"key": ["k1", "k2", "k3", "new"], "team": ["t1", "t1", "t2", "t1"]}
    found = attribute(leaf_table(columns, np.array([10.0, 20, 30, 90]), np.array([10.0, 20, 30, 0])))
    assert [culprit.dims for culprit in found] == [{"key": "new"}]
    assert found[0].explained == pytest.approx(1.0)


def test_no_deviation_has_no_cause() -> None:
    """Where everything is as expected, and where there is nothing at all, nothing is named."""
    assert attribute(planted([])) == ()
    assert attribute(leaf_table({"a": []}, np.zeros(0), np.zeros(0))) == ()


def test_noise_alone_is_explained_by_nothing_large() -> None:
    """Without a cause no combination explains much of the deviation."""
    found = attribute(planted([], noise=0.05))
    assert all(culprit.score < 0.35 for culprit in found)
