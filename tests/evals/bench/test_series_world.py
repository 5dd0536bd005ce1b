"""The labelled series: repeatable, apart by part, visible incidents, and confounders that are none."""

import numpy as np

from evals.bench.series_world import MIN_EXCESS_USD, make_world, table_of
from evals.bench.series_world_faults import FAULTS, SCORED_FROM
from evals.bench.series_world_shapes import HOURS, NOISES, SEASONS


def test_equal_seeds_give_equal_series_and_parts_never_meet() -> None:
    """A part and a seed fix every series, fewer are the first of more, and the other part has none of them."""
    four, two = make_world(4, part="tuning", seed=5), make_world(2, part="tuning", seed=5)
    assert np.array_equal(four.cost[:2], two.cost)
    assert [label for label in four.labels if label.row < 2] == two.labels
    other = make_world(4, part="report", seed=5)
    assert not any(np.array_equal(mine, theirs) for mine in four.cost for theirs in other.cost)


def test_every_family_and_kind_occurs() -> None:
    """A hundred and fifty series show all noise families, seasons and kinds of incident, and quiet series too."""
    world = make_world(150, part="tuning", seed=6)
    assert {traits["noise"] for traits in world.traits} == set(NOISES)
    assert {traits["season"] for traits in world.traits} == set(SEASONS)
    assert {label.kind for label in world.labels} == set(FAULTS)
    assert 0.4 < len(world.labels) / 150 < 0.8


def test_labels_lie_in_the_scored_weeks_and_cost_money() -> None:
    """An incident begins after the weeks to learn from, ends within the series, and costs what an incident must."""
    world = make_world(80, part="tuning", seed=7)
    for label in world.labels:
        assert SCORED_FROM <= label.start < label.end <= HOURS
        assert label.excess_usd >= MIN_EXCESS_USD
        if label.kind == "new_series":
            assert world.cost[label.row, : label.start].sum() == 0


def test_a_gap_has_no_rows() -> None:
    """The table has one row per hour but for telemetry gaps."""
    world = make_world(30, part="tuning", seed=8)
    assert world.missing.any()
    assert len(table_of(world)["series"]) == int((~world.missing).sum())
    assert not world.cost[world.missing].any()
