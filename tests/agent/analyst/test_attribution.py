"""Attribution: the smallest set of attribute combinations that explains a change."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_all_moving_as_one_has_no_combination() -> None:
    """Where every leaf grows by the same factor the answer is the whole, not its largest part."""
    table = planted([], noise=0.02)
    found = attribute(table._replace(actual=table.actual * 1.6))
    assert [culprit.dims for culprit in found] == [{}]
    assert found[0].explained == pytest.approx(1.0)


@pytest.mark.parametrize("cause", [{"a": "a1"}, {"b": "b2", "d": "d0"}, {"a": "a3", "b": "b1", "c": "c2"}])
def test_a_ratio_is_explained_by_its_own_change(cause: dict[str, str]) -> None:
    """The cause of a risen ratio is named exactly, whatever the requests behind its leaves."""
    table = planted([(cause, 2.0)], noise=0.02)
    draw = np.random.default_rng(5)
    found = attribute(table._replace(weight=np.floor(draw.lognormal(4, 1, len(table.actual)) + 1)), rivals=True)
    assert [culprit.dims for culprit in found] == [cause]
    assert found[0].explained == pytest.approx(1.0, abs=0.35)


def test_more_traffic_at_the_old_ratio_explains_nothing() -> None:
    """Weights are no deviation: a ratio that is as expected in every leaf has no cause, however traffic shifts."""
    table = planted([])
    assert attribute(table._replace(weight=np.arange(1.0, len(table.actual) + 1))) == ()


def test_a_rate_near_zero_moves_by_points() -> None:
    """A leaf of five requests with one error is no cause beside thousands of requests that fail one in three."""
    columns = {"region": ["eu", "us", "ap", "sa"] * 10, "model": [f"m{i // 4}" for i in range(40)]}
    expected = np.full(40, 0.01)
    actual = np.where(np.array(columns["model"]) == "m3", 0.33, 0.01)
    weight = np.full(40, 2000.0)
    expected[0], actual[0], weight[0] = 0.0, 0.2, 5.0
    assert [c.dims for c in attribute(leaf_table(columns, actual, expected, weight))] == [{"model": "m3"}]


def test_a_ratio_that_was_not_known_is_not_news() -> None:
    """A leaf without an expectation is held against the overall ratio, not against nothing."""
    table = planted([({"a": "a2"}, 0.5)], noise=0.01)
    expected = np.where(np.arange(len(table.actual)) % 7 == 3, np.nan, 1.0)
    ratio = table.actual / table.expected
    found = attribute(table._replace(actual=ratio, expected=expected, weight=table.expected))
    assert [culprit.dims for culprit in found] == [{"a": "a2"}]


def test_rivals_are_listed_only_when_asked_for_and_only_where_there_are_any() -> None:
    """Where nearly all of a value's traffic has one further value in common, both answers are shown, one as a rival."""
    columns = {
        "model": ["m1"] * 9 + [f"m{i}" for i in range(2, 9) for _ in range(9)],
        "device": (["pc"] * 7 + ["tv", "app"]) * 8,
        "region": [f"r{i % 9}" for i in range(72)],
    }
    expected = np.full(72, 100.0)
    actual = expected * np.array([3.0] * 7 + [1.6] * 2 + [1.0] * 63)
    table = leaf_table(columns, actual, expected)
    assert [(c.dims, c.rival) for c in attribute(table, rivals=True)][:2] == [
        ({"model": "m1"}, False),
        ({"model": "m1", "device": "pc"}, True),
    ]
    assert not any(culprit.rival for culprit in attribute(table))
    sharp = attribute(planted([({"a": "a1", "b": "b1"}, 3.0)], noise=0.02), rivals=True)
    assert [culprit.rival for culprit in sharp] == [False]


@st.composite
def leaf_tables(draw: st.DrawFn) -> LeafTable:
    """Any small table of an additive measure or a ratio: zeros, repeated leaves, new and ended ones."""
    rows = draw(st.integers(0, 30))
    amounts = st.lists(st.sampled_from([0.0, 1e-9, 0.5, 1.0, 3.0, 1e6]), min_size=rows, max_size=rows).map(np.array)
    texts = st.lists(st.sampled_from(["x", "y", "z", ""]), min_size=rows, max_size=rows)
    columns = {name: draw(texts) for name in "abcd"[: draw(st.integers(1, 4))]}
    weight = draw(st.none() | amounts)
    return leaf_table(columns, draw(amounts), draw(amounts), weight)


@given(table=leaf_tables(), factor=st.sampled_from([1e-3, 7.0, 1e9]))
@settings(deadline=None, max_examples=150)
def test_answers_are_about_the_leaves_and_not_about_the_unit(table: LeafTable, factor: float) -> None:
    """The first answer's change is the sum over its leaves, and another currency gives the same answers."""
    found = attribute(table, rivals=True)
    assert len(found) <= 3
    for culprit in found[:1]:
        rows = np.all([[table.values[n][c] == v for c in table.codes[n]] for n, v in culprit.dims.items()], axis=0)
        amount = (table.actual - table.expected) * (1.0 if table.weight is None else table.weight)
        own = amount[rows].sum() if culprit.dims else amount.sum()
        assert culprit.change == pytest.approx(own)
        assert 0 <= culprit.score <= 1
    if table.weight is None:
        other = attribute(table._replace(actual=table.actual * factor, expected=table.expected * factor))
        assert [culprit.dims for culprit in other] == [culprit.dims for culprit in attribute(table)]
