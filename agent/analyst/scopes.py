"""Where to look: the scope in which causes can be compared, and the key that rose most."""

from collections.abc import Sequence

import numpy as np

from agent.analyst.attribution import LeafTable, attribute
from agent.analyst.leaves import leaves_of
from store.model.usage import CUBE_DIMENSIONS, NONE, Cube, Scope

CAUSES_CHANGE = frozenset(
    {
        "provider", "model", "requested_model", "service_tier", "speed", "release", "prompt_version",
        "session_id", "trace_id", "end_user", "operation", "region",
    }
)  # fmt: skip
"""Dimensions whose values a cause may bring with it: inside one of them there is no "before"."""

NARROW_BY = ("team", "app")
ATTRIBUTE_BY = tuple(name for name in CUBE_DIMENSIONS if name != "source")
EXPLAINS_ENOUGH = 0.6


def comparable(scope: Scope) -> Scope:
    """The scope without the dimensions that a cause may change."""
    return Scope.of({name: value for name, value in scope.dims if name not in CAUSES_CHANGE})


def narrowed(scope: Scope, now: Cube, before: Sequence[Cube], *, scale: float) -> Scope:
    """The scope with the team and app that explain most of its change, where one does."""
    free = [name for name in NARROW_BY if scope.get(name) is None]
    if not free:
        return scope
    leaves = leaves_of(now, before, dims=free, measures=("cost_nanos",), scale=scale)
    table = LeafTable(leaves.codes, leaves.values, leaves.now["cost_nanos"], leaves.before["cost_nanos"])
    found = attribute(table, top=1)
    dims = found[0].dims if found and EXPLAINS_ENOUGH <= found[0].explained <= 1 / EXPLAINS_ENOUGH else {}
    inside = values_within(dims, table)
    # What has one value only inside the culprit is named as well.
    only = {name: values.pop() for name, values in inside.items() if len(values) == 1}
    return Scope.of({**scope.as_dict(), **only})


def values_within(dims: dict[str, str], table: LeafTable) -> dict[str, set[str]]:
    """The values that each dimension has among the leaves of a combination."""
    rows = np.ones(len(table.actual), dtype=np.bool_)
    for name, value in dims.items():
        rows &= table.codes[name] == table.values[name].index(value)
    return {name: {table.values[name][i] for i in set(codes[rows].tolist())} for name, codes in table.codes.items()}


def rising_key(now: Cube, before: Sequence[Cube], *, scale: float) -> str | None:
    """The API key whose spend rose by at least half of the whole change, or None."""
    leaves = leaves_of(now, before, dims=("api_key_id",), measures=("cost_nanos",), scale=scale)
    if leaves.size == 0:
        return None
    rise = leaves.now["cost_nanos"] - leaves.before["cost_nanos"]
    top = int(rise.argmax())
    name = leaves.values["api_key_id"][leaves.codes["api_key_id"][top]]
    return name if rise[top] > 0 and rise[top] >= 0.5 * rise.sum() and name != NONE else None
