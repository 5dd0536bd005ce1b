"""Keeps incidents: what the clusters of a look mean for those that are known."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.detectors.account import Account, account, with_displaced
from agent.detectors.clusters import Cluster, clusters, cube_scope
from agent.detectors.settings import DetectorSettings
from store.model.canonical import stable_id
from store.model.incident import Incident, Spike
from store.model.usage import TOTAL, Cube, Scope, Window, iso


def group(
    spikes: Sequence[Spike],
    *,
    cube: Cube,
    open_incidents: Sequence[Incident],
    now: datetime,
    settings: DetectorSettings,
) -> list[Incident]:
    """The incidents that are new or have changed: extended, revised, reopened or closed.

    `open_incidents` are the known ones: all open, and those closed within the detectors' horizon, so that a spike
    which ended is not raised again. Spikes go to one incident each. A known incident keeps its id whatever becomes of
    its scope. The revision rises on another scope, another kind of signal, or an excess that doubled since the last
    revision, and not within `revise_after_minutes` of it. An incident closes when all its spikes have ended or are
    gone; a spike in the same scope within `reopen_hours` opens it again. Excess, baseline and actual are those of the
    incident's own scope over its whole window, never a sum over nested series.
    """
    found = clusters(spikes, settings)
    known = sorted(open_incidents, key=lambda incident: (incident.opened_at, incident.id))
    pairs = _match(found, known, settings)
    changed: list[Incident] = []
    for i, cluster in enumerate(found):
        old = pairs.get(i)
        if old is not None:
            incident = _extended(old, cluster, cube, now, settings, not_before=_earlier_end(old, known))
            changed.extend([incident] if incident != old else [])
        elif _is_news(cluster, now, settings):
            changed.append(_new(cluster, cube, now, settings))
    matched = {incident.id for incident in pairs.values()}
    changed.extend(_closed(old) for old in known if old.status == "open" and old.id not in matched)
    return sorted(changed, key=lambda incident: (incident.opened_at, incident.scope.dims, incident.id))


def _is_news(cluster: Cluster, now: datetime, settings: DetectorSettings) -> bool:
    raised = min(spike.opened_at for spike in cluster.spikes)
    return cluster.ended_at is None or raised >= now - timedelta(hours=settings.late_hours)


def _match(found: list[Cluster], known: list[Incident], settings: DetectorSettings) -> dict[int, Incident]:
    """Which cluster continues which incident: the closest pairs first, each at most once.

    Of incidents that are as close an open one is continued before a closed one, and then the one whose end is nearest.
    """
    ranked = []
    theirs = [_series(incident) for incident in known]
    for i, cluster in enumerate(found):
        mine = {spike.series for spike in cluster.spikes}
        for j, incident in enumerate(known):
            closeness = _closeness(cluster, incident, settings, shared=len(mine & theirs[j]))
            if closeness > 0:
                apart = abs((cluster.ended_at or cluster.seen_until) - (incident.ended_at or incident.seen_until))
                ranked.append((-closeness, incident.status == "closed", apart, j, i))
    pairs: dict[int, Incident] = {}
    taken: set[int] = set()
    for *_, j, i in sorted(ranked):
        if i not in pairs and j not in taken:
            pairs[i] = known[j]
            taken.add(j)
    return pairs


def _series(incident: Incident) -> set[Scope]:
    """The series that tell an incident from others."""
    series = {spike.series for spike in incident.spikes}
    return series if incident.scope == TOTAL else series - {TOTAL}


def _closeness(cluster: Cluster, incident: Incident, settings: DetectorSettings, *, shared: int) -> int:
    """0: another event. More series in common (`shared`), and the same scope most of all, are closer."""
    same = cluster.scope == incident.scope
    end = incident.ended_at or incident.seen_until
    if same:
        end += timedelta(hours=settings.reopen_hours)
    if cluster.started_at > end or cluster.seen_until < incident.started_at:
        return 0
    if same:
        return 1_000_000
    if not (
        cluster.scope.contains(incident.scope) or incident.scope.contains(cluster.scope) or _crossing(cluster, incident)
    ):
        return 0
    return shared


def _crossing(cluster: Cluster, incident: Incident) -> bool:
    return cluster.scope.overlaps(incident.scope)


def _new(cluster: Cluster, cube: Cube, now: datetime, settings: DetectorSettings) -> Incident:
    sums = _account(cluster, cluster.scope, cluster.started_at, cube, settings)
    return Incident(
        id=stable_id("inc", cluster.scope.as_dict(), iso(cluster.started_at)),
        scope=cluster.scope,
        status="open" if cluster.ended_at is None else "closed",
        opened_at=min(spike.opened_at for spike in cluster.spikes),
        started_at=cluster.started_at,
        ended_at=cluster.ended_at,
        seen_until=cluster.seen_until,
        revised_at=now,
        excess_nanos=sums.excess_nanos,
        baseline_nanos=sums.baseline_nanos,
        actual_nanos=sums.actual_nanos,
        revised_excess_nanos=sums.excess_nanos,
        spikes=cluster.spikes,
        planned=_planned(cluster.scope, cluster.started_at, cluster.seen_until, settings),
    )


def _earlier_end(incident: Incident, known: list[Incident]) -> datetime | None:
    """Where an earlier incident in the same scope ended: what was spent before is counted there."""
    ends = [
        one.ended_at
        for one in known
        if one.id != incident.id
        and one.scope == incident.scope
        and one.ended_at
        and one.ended_at <= incident.started_at
    ]
    return max(ends, default=None)


def _extended(
    old: Incident,
    cluster: Cluster,
    cube: Cube,
    now: datetime,
    settings: DetectorSettings,
    *,
    not_before: datetime | None,
) -> Incident:
    if old.status == "closed" and old.ended_at is not None and (cluster.ended_at or now) <= old.ended_at:
        return old
    may_revise = now - old.revised_at >= timedelta(minutes=settings.revise_after_minutes)
    scope = _scope(old, cluster, settings) if may_revise else old.scope
    started = min(old.started_at, cluster.started_at)
    if not_before is not None:
        started = max(started, not_before)
    sums = _account(cluster, scope, started, cube, settings)
    spikes = _merged(old, cluster)
    news = {spike.signal for spike in spikes} - set(old.signals)
    doubled = sums.excess_nanos >= 2 * old.revised_excess_nanos > 0
    revised = may_revise and (scope != old.scope or bool(news) or doubled)
    seen_until = max(old.seen_until, cluster.seen_until)
    return old.model_copy(
        update={
            "revision": old.revision + revised,
            "scope": scope,
            "status": "open" if cluster.ended_at is None else "closed",
            "started_at": started,
            "ended_at": cluster.ended_at,
            "seen_until": seen_until,
            "revised_at": now if revised else old.revised_at,
            "excess_nanos": sums.excess_nanos,
            "baseline_nanos": sums.baseline_nanos,
            "actual_nanos": sums.actual_nanos,
            "revised_excess_nanos": sums.excess_nanos if revised else old.revised_excess_nanos,
            "spikes": spikes,
            "planned": _planned(scope, started, seen_until, settings),
        }
    )


def _closed(old: Incident) -> Incident:
    ends = [spike.ended_at or spike.seen_until for spike in old.spikes]
    return old.model_copy(update={"status": "closed", "ended_at": max([*ends, old.started_at])})


def _scope(old: Incident, cluster: Cluster, settings: DetectorSettings) -> Scope:
    """The cluster's scope, unless the old one still accounts for the event and is as deep: scopes do not flap."""
    share = cluster.excess.get(old.scope, 0)
    most = cluster.excess[cluster.scope]
    shallower = len(old.scope.dims) < len(cluster.scope.dims)
    return old.scope if share >= settings.explained_share * most and not shallower else cluster.scope


def _merged(old: Incident, cluster: Cluster) -> tuple[Spike, ...]:
    """This look's spikes, then the older ones of series and signals that no longer show."""
    current = {(spike.series, spike.signal) for spike in cluster.spikes}
    gone = [spike for spike in old.spikes if (spike.series, spike.signal) not in current]
    return (*cluster.spikes, *(spike if spike.ended_at else _over(spike) for spike in gone))


def _over(spike: Spike) -> Spike:
    return spike.model_copy(update={"ended_at": spike.seen_until})


def _account(cluster: Cluster, scope: Scope, started: datetime, cube: Cube, settings: DetectorSettings) -> Account:
    """Excess of one scope over the whole window: its own series, or its strongest spike where that says more.

    A spike says more where volume fell while each call became dearer, where one session looped in a quiet hour, and
    where a series has no history.
    """
    window = Window(start=started, end=max(started, cluster.ended_at or cluster.seen_until))
    own = account(cube, scope, window, settings)
    spikes = [spike for spike in cluster.spikes if cube_scope(spike.series) == scope]
    best = max(spikes, key=lambda spike: spike.excess_nanos, default=None)
    if best is not None and best.excess_nanos > own.excess_nanos:
        own = Account(best.actual_nanos, best.baseline_nanos)
    return with_displaced(own, cube, scope, window, settings)


def _planned(scope: Scope, start: datetime, end: datetime, settings: DetectorSettings) -> str | None:
    for event in settings.planned:
        if event.scope.contains(scope) and start < event.window.end and event.window.start < end:
            return event.name
    return None
