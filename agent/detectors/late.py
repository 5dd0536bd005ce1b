"""Late data: calls that come in for hours that were judged already."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from store.model.incident import TrustNote
from store.model.money import NANOS_PER_USD, usd_text
from store.model.usage import Arrival, Scope

LOOK_BACK = timedelta(days=7)
"""How far arrivals are read: the first of them tells since when a source reports here."""
_RECENT_SECONDS = 2 * 86_400
_LATE_HOURS = 2
_LATE_SHARE = 0.2
_MATERIAL_NANOS = 5 * NANOS_PER_USD


def late_notes(arrivals: Sequence[Arrival], *, until_s: int) -> list[TrustNote]:
    """One note for each source a fifth of whose cost of the last two days came two hours late or later, from 5 USD.

    `until_s`: epoch seconds up to which is judged. What a source has from before its first report is its history,
    loaded at once, and not late.
    """
    began: dict[str, int] = {}
    for one in arrivals:
        known = one.hour + one.delay_hours * 3600
        began[one.source] = min(known, began.get(one.source, known))
    whole: dict[str, int] = defaultdict(int)
    late: dict[str, int] = defaultdict(int)
    for one in arrivals:
        if one.hour >= max(began[one.source], until_s - _RECENT_SECONDS):
            whole[one.source] += one.cost_nanos
            late[one.source] += one.cost_nanos if one.delay_hours >= _LATE_HOURS else 0
    return [
        TrustNote(
            scope=Scope.of(source=source),
            kind="late",
            says=f"source {source}: {late[source] / cost:.0%} of its cost of the last two days "
            f"({usd_text(late[source])}) came {_LATE_HOURS} hours or more after the calls, when those hours had been "
            "judged without it.",
        )
        for source, cost in sorted(whole.items())
        if late[source] >= max(_MATERIAL_NANOS, _LATE_SHARE * cost)
    ]
