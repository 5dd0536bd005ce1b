"""Who is behind the calls: growth of users and sessions, and one user that takes it all."""

from collections.abc import Sequence

import numpy as np

from agent.analyst.columns import Calls, Coded, share
from agent.analyst.leaves import Floats, total_by
from agent.analyst.notebook import Datum, Note
from store.model.usage import RecordTable

HOUR_US = 3_600_000_000


def look_at_people(
    now: RecordTable, before: Sequence[RecordTable], *, requests_ratio: float | None = None
) -> Note | None:
    """Distinct users and sessions in an hour, and the dearest user's share, now and before; None without either.

    `requests_ratio`, the growth of requests, is compared with that of people: `growth_gap` is how far apart they are.
    """
    mine, usual = Calls([now]), Calls(before)
    data: dict[str, Datum] = {}
    said: list[str] = []
    for column, name in (("end_user", "users"), ("session_id", "sessions")):
        # Each reference window is counted on its own: an hour of it is as complete as the same hour now.
        count = _per_hour([now], column)
        earlier = _per_hour(before, column)
        if count > 0:
            data[f"{name}_now"], data[f"{name}_before"] = count, earlier
            said.append(f"{count:,.1f} {name} an hour (before {earlier:,.1f})")
        if count > 0 and earlier > 0:
            data[f"{name}_ratio"] = count / earlier
    data |= _dearest(mine, usual, [Calls([table]) for table in before])
    if not data:
        return None
    if "end_user_share_now" in data:
        said.append(f"the dearest user caused {data['end_user_share_now']:.0%} of the spend")
    people = data.get("users_ratio", data.get("sessions_ratio"))
    if isinstance(people, float):
        data["people_ratio"] = people
        if requests_ratio:
            data["growth_gap"] = abs(float(np.log(people / requests_ratio)))
    return Note("users", "; ".join(said).capitalize() + ".", data)


def _per_hour(tables: Sequence[RecordTable], column: str) -> float:
    """Distinct values an hour, over the hours that have calls."""
    distinct = hours = 0
    for table in tables:
        calls = Calls([table])
        if not calls.rows:
            continue
        who, hour = calls.text(column), calls.micros() // HOUR_US
        known = who.known()
        distinct += len(np.unique(np.stack([hour[known], who.codes[known]]), axis=1).T)
        hours += len(np.unique(hour))
    return distinct / hours if hours else 0.0


def _dearest(now: Calls, before: Calls, windows: Sequence[Calls]) -> dict[str, Datum]:
    """The dearest user's share of the spend, and by how much it passes that of any user in any window before.

    Where few are about, somebody always takes a large share: that it is another one each time is no rise.
    """
    users = now.text("end_user")
    if not now.rows or not users.known().any():
        return {}
    cost = _cost_by(users, now)
    top = int(np.argmax(cost))
    name, part = users.values[top], share(cost[top], now.number("cost_nanos").sum())
    found: dict[str, Datum] = {"end_user": name, "end_user_share_now": part}
    if before.rows:
        earlier = before.text("end_user")
        old = _cost_by(earlier, before)
        was = share(old[earlier.values.index(name)] if name in earlier.values else 0.0, old.sum())
        most = max(was, *(_dearest_share(window) for window in windows))
        found |= {"end_user_share_before": was, "end_user_share_rise": part - most}
    return found


def _dearest_share(calls: Calls) -> float:
    if not calls.rows:
        return 0.0
    cost = _cost_by(calls.text("end_user"), calls)
    return share(cost.max(), calls.number("cost_nanos").sum())


def _cost_by(column: Coded, calls: Calls) -> Floats:
    return total_by(column.codes, calls.number("cost_nanos") * column.known(), len(column.values))
