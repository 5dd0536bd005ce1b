"""Puts spikes that are one event together, and finds the deepest scope that accounts for it.

The same event shows in many series: the total, a team, its app, a key, a model. A wider series is a symptom of a deeper
one that accounts for most of its excess. Where several deeper ones rise at one hour, the cause is common and the wider
scope is the event's; where they have different hours or different owners, they are events of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.detectors.settings import DetectorSettings
from store.model.incident import Spike
from store.model.usage import CUBE_DIMENSIONS, Scope

_SAME_ONSET = timedelta(hours=2)
_COMMON_CHILDREN = 3
_ALIKE = 4.0
_MIXED_SHARE = 0.3
"""From this share on, or when both began at one hour, a series that mixes many apps is a symptom of a deeper one."""
_TELLING_SHARE = 0.1
"""What accounts for less of a wider series says nothing about whether its rise has one cause."""
_DISPLACED = 1.2


class Cluster(NamedTuple):
    """One event: its scope, all spikes that show it, and the excess of every scope among them in nano-USD."""

    scope: Scope
    spikes: tuple[Spike, ...]
    excess: dict[Scope, int]

    @property
    def started_at(self) -> datetime:
        """The start of the event: of the spikes in its scope, else of the earliest."""
        own = [spike.started_at for spike in self.spikes if cube_scope(spike.series) == self.scope]
        return min(own or [spike.started_at for spike in self.spikes])

    @property
    def ended_at(self) -> datetime | None:
        """The end of the last spike in its scope, None while one lasts."""
        ends = [spike.ended_at for spike in self._inside]
        return None if None in ends else max(end for end in ends if end is not None)

    @property
    def seen_until(self) -> datetime:
        """The end of the last bucket that was judged for it."""
        return max(spike.seen_until for spike in self._inside)

    @property
    def _inside(self) -> list[Spike]:
        """Spikes that are no wider than the event: what a wider series does after it is another matter."""
        inside = [spike for spike in self.spikes if not _wider(cube_scope(spike.series), self.scope)]
        return inside or list(self.spikes)


@dataclass(frozen=True)
class _Node:
    """All spikes of one scope that overlap in time; `by_signal`: excess per signal in nano-USD."""

    scope: Scope
    spikes: tuple[Spike, ...]
    start: datetime
    end: datetime
    by_signal: dict[str, int]
    excess: int

    @classmethod
    def of(cls, scope: Scope, spikes: Sequence[Spike]) -> "_Node":
        """The node of these spikes."""
        sums: dict[str, int] = {}
        for spike in spikes:
            sums[spike.signal] = sums.get(spike.signal, 0) + spike.excess_nanos
        start, end = min(spike.started_at for spike in spikes), max(spike.seen_until for spike in spikes)
        return cls(scope, tuple(spikes), start, end, sums, max(sums.values()))

    def meets(self, other: "_Node") -> bool:
        return self.start < other.end and other.start < self.end

    def inside(self, other: "_Node") -> bool:
        return self.scope != other.scope and other.scope.contains(self.scope) and self.meets(other)


@dataclass
class _Parts:
    """Nodes that others explain (symptoms), and nodes that are the common scope of several deeper ones."""

    common: set[int] = field(default_factory=set)
    symptoms: set[int] = field(default_factory=set)


def cube_scope(scope: Scope) -> Scope:
    """The part of a scope that rollups know: a session becomes its team and app."""
    return Scope(dims=tuple((name, value) for name, value in scope.dims if name in CUBE_DIMENSIONS))


def clusters(spikes: Sequence[Spike], settings: DetectorSettings) -> list[Cluster]:
    """Spikes as events, by start and scope; no spike is in two."""
    nodes = _nodes(spikes)
    forest = _Forest(len(nodes))
    parts = _Parts()
    for wide in range(len(nodes)):
        inner = [i for i in range(len(nodes)) if nodes[i].inside(nodes[wide])]
        if inner:
            forest.join(wide, *_explained_by(wide, inner, nodes, parts, settings))
    _join_views(nodes, forest)
    found = []
    for members in forest.trees():
        root = _root(members, nodes, parts, settings)
        excess = {nodes[i].scope: nodes[i].excess for i in members}
        found.append(Cluster(nodes[root].scope, _telling(members, nodes, nodes[root].scope), excess))
    return sorted(found, key=lambda cluster: (cluster.started_at, cluster.scope.dims))


def _nodes(spikes: Sequence[Spike]) -> list[_Node]:
    nodes: list[_Node] = []
    for spike in sorted(spikes, key=lambda spike: (spike.series.dims, spike.started_at)):
        one = _Node.of(cube_scope(spike.series), [spike])
        for k, node in enumerate(nodes):
            if node.scope == one.scope and node.meets(one):
                nodes[k] = _Node.of(node.scope, [*node.spikes, spike])
                break
        else:
            nodes.append(one)
    return sorted(nodes, key=lambda node: (len(node.scope.dims), node.scope.dims, node.start))


def _share(part: _Node, whole: _Node) -> float:
    """The share of the whole's excess that the part accounts for while both last.

    By spend where both show it, else by a signal that both show, else by whatever each shows most. A part's excess is
    taken pro rata of the time that it shares with the whole.
    """
    both = (min(part.end, whole.end) - max(part.start, whole.start)) / (part.end - part.start)
    mine, theirs = part.by_signal, whole.by_signal
    if theirs.get("spend", 0) > 0 and "spend" in mine:
        return both * mine["spend"] / theirs["spend"]
    shared = [both * mine[signal] / theirs[signal] for signal in mine if theirs.get(signal, 0) > 0]
    if shared:
        return max(shared)
    return both * part.excess / whole.excess if whole.excess > 0 else 0.0


def _explained_by(
    wide: int, inner: list[int], nodes: list[_Node], parts: _Parts, settings: DetectorSettings
) -> list[int]:
    """The deeper nodes that are one event with a wide one; notes what the wide one is to them."""
    whole = nodes[wide]
    strong = [i for i in inner if _share(nodes[i], whole) >= settings.explained_share]
    if strong:
        parts.symptoms.add(wide)
        nearest = min(strong, key=lambda i: (abs(nodes[i].start - whole.start), nodes[i].scope.dims))
        return [i for i in strong if nodes[i].scope.overlaps(nodes[nearest].scope)]
    front = _disjoint(inner, nodes)
    shares = {i: _share(nodes[i], whole) for i in front}
    explained = sum(shares.values()) >= settings.explained_share
    telling = [i for i in front if shares[i] >= _TELLING_SHARE] or front[:1]
    if explained and _together(telling, nodes, owned=whole.scope.get("team") is not None):
        parts.common.add(wide)
        return inner
    beside = [i for i in inner if abs(nodes[i].start - whole.start) <= _SAME_ONSET]
    mixed = whole.scope.get("app") is None and (bool(beside) or max(shares.values()) >= _MIXED_SHARE)
    if explained or mixed:
        parts.symptoms.add(wide)
        return next(([i] for i in front if i in beside), front[:1])
    parts.common.add(wide)
    return beside


def _disjoint(inner: list[int], nodes: list[_Node]) -> list[int]:
    """The largest nodes that share no traffic, largest first."""
    front: list[int] = []
    for i in sorted(inner, key=lambda i: (-nodes[i].excess, nodes[i].scope.dims)):
        if not any(nodes[i].scope.overlaps(nodes[j].scope) for j in front):
            front.append(i)
    return front


def _together(front: list[int], nodes: list[_Node], *, owned: bool) -> bool:
    """One hour, and either one owner or too many for chance."""
    starts = [nodes[i].start for i in front]
    return max(starts) - min(starts) <= _SAME_ONSET and (owned or len(front) >= _COMMON_CHILDREN)


def _join_views(nodes: list[_Node], forest: "_Forest") -> None:
    """Join two cuts through one app, or through the same traffic by alike amounts, that rose at one hour.

    A cut that mixes apps, such as a model, may cross events of several owners and does not make one event of them: it
    is a view of the one that it is joined with already, by a part of both, else of the one nearest to it in excess.
    """
    views: dict[int, list[int]] = {}
    for i, one in enumerate(nodes):
        for j in range(i + 1, len(nodes)):
            other = nodes[j]
            crossing = one.scope.overlaps(other.scope) and not one.scope.contains(other.scope)
            if not (crossing and one.meets(other) and abs(one.start - other.start) <= _SAME_ONSET):
                continue
            if _same_app(one, other):
                forest.join(i, j)
            elif min(one.excess, other.excess) * _ALIKE >= max(one.excess, other.excess):
                mixed, owned = (i, j) if one.scope.get("team") is None else (j, i)
                views.setdefault(mixed, []).append(owned)
    for mixed, crossed in views.items():
        if any(forest.same(mixed, i) for i in crossed):
            continue
        nearest = min(crossed, key=lambda i: (abs(nodes[i].excess - nodes[mixed].excess), nodes[i].scope.dims))
        same = [i for i in crossed if nodes[i].scope.overlaps(nodes[nearest].scope)]
        forest.join(mixed, *same)


def _same_app(one: _Node, other: _Node) -> bool:
    return one.scope.get("app") is not None and one.scope.get("app") == other.scope.get("app")


def _telling(members: list[int], nodes: list[_Node], scope: Scope) -> tuple[Spike, ...]:
    """The members' spikes, but for wider series only those of a signal that shows in the scope too.

    What else a wider series shows may come from other traffic in it.
    """
    inside = [spike for i in members for spike in nodes[i].spikes if not _wider(nodes[i].scope, scope)]
    signals = {spike.signal for spike in inside}
    outside = [spike for i in members for spike in nodes[i].spikes if _wider(nodes[i].scope, scope)]
    return (*inside, *(spike for spike in outside if spike.signal in signals))


def _wider(one: Scope, other: Scope) -> bool:
    return one != other and one.contains(other)


def _root(members: list[int], nodes: list[_Node], parts: _Parts, settings: DetectorSettings) -> int:
    """The widest common scope if there is one, else the deepest that accounts for the event."""
    wide = [i for i in members if i in parts.common]
    if wide:
        return max(wide, key=lambda i: (nodes[i].excess, len(nodes[i].scope.dims)))
    steady = [i for i in members if not _displaces(i, members, nodes)]
    leaves = [i for i in steady if i not in parts.symptoms]
    if not leaves:
        return max(steady, key=lambda i: (len(nodes[i].scope.dims), nodes[i].excess, nodes[i].scope.dims))
    most = max(nodes[i].excess for i in leaves)
    deep = [i for i in leaves if nodes[i].excess >= settings.explained_share * most]

    def depth(i: int) -> tuple[int, float, bool, tuple[tuple[str, str], ...]]:
        node = nodes[i]
        share = round(node.excess / most, 1) if most > 0 else 0.0
        return len(node.scope.dims), share, node.scope.get("api_key_id") is not None, node.scope.dims

    return max(deep, key=depth)


def _displaces(one: int, members: list[int], nodes: list[_Node]) -> bool:
    """Whether a model rose by more than its own app did: it took over traffic of another model."""
    node = nodes[one]
    if node.scope.get("model") is None:
        return False
    apps = [nodes[i] for i in members if _same_app(nodes[i], node) and nodes[i].scope.get("model") is None]
    return any(0 < app.excess * _DISPLACED < node.excess for app in apps)


class _Forest:
    """Union-find over node numbers."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def _top(self, i: int) -> int:
        while self._parent[i] != i:
            i = self._parent[i]
        return i

    def join(self, first: int, *others: int) -> None:
        """Make one tree of them."""
        for other in others:
            a, b = sorted((self._top(first), self._top(other)))
            self._parent[b] = a

    def same(self, first: int, second: int) -> bool:
        """Whether both are in one tree."""
        return self._top(first) == self._top(second)

    def trees(self) -> list[list[int]]:
        """The members of each tree, ascending."""
        by_top: dict[int, list[int]] = {}
        for i in range(len(self._parent)):
            by_top.setdefault(self._top(i), []).append(i)
        return list(by_top.values())
