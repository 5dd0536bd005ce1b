"""The state of the three graphs: ids and JSON primitives only, so that any version can read what another wrote."""

from typing import TypedDict

SCHEMA_VERSION = 1


class WatchState(TypedDict, total=False):
    """One look at the spend, up to `until` (ISO 8601). No checkpoint: running it again finds the same."""

    until: str
    accepted: int
    fresh: bool
    trust: list[dict[str, object]]
    spikes: list[dict[str, object]]
    incidents: list[dict[str, object]]
    opened: list[str]


class CaseState(TypedDict, total=False):
    """One investigation of one incident revision; it ends in rows."""

    schema_version: int
    incident_id: str
    revision: int
    cause: str
    proposals: list[dict[str, object]]
    rulings: list[dict[str, object]]
    remedies: list[str]


class RemedyState(TypedDict, total=False):
    """One step of one remedy; the ledger is the truth."""

    remedy_id: str
    owner: str
    fence: int
    step: str
    became: str
