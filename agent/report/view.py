"""The summary as people read it: every figure, name and sentence as text, still without a format.

Text that came from traffic is bounded when these are made (compose.py, cards.py) and escaped by each format.
"""

from typing import Literal, NamedTuple

from agent.report.spend import HISTORY_WEEKS

Tone = Literal["good", "bad", "waiting", "neutral"]

EXPECTED_NOTE = f"Expected: the median of the same hour in up to {HISTORY_WEEKS} earlier weeks."
LOST_NOTE = "Lost is what was spent above the baseline. Avoided is measured against what would have been spent."


class Figure(NamedTuple):
    """One headline figure."""

    label: str
    value: str
    note: str
    tone: Tone = "neutral"


class Bar(NamedTuple):
    """One driver; `percent` of the largest driver's size, 0 to 100."""

    name: str
    amount: str
    percent: int
    falls: bool


class Moment(NamedTuple):
    """One step of the decision trail."""

    step: str
    at: str
    after: str


class RemedyCard(NamedTuple):
    """One remedy; `measured` is "" where nothing was measured."""

    what: str
    playbook: str
    verdict: str
    decided: str
    status: str
    tone: Tone
    expected: str
    measured: str
    interval: str
    note: str


class IncidentCard(NamedTuple):
    """One incident; `aside` says why it is not in the sums, where it is not."""

    number: int
    anchor: str
    title: str
    scope: str
    confidence: str
    status: str
    lost: str
    avoided: str
    before_after: str
    decided: str
    because: str
    aside: str
    drivers: tuple[Bar, ...]
    trail: tuple[Moment, ...]
    remedies: tuple[RemedyCard, ...]


class TeamRow(NamedTuple):
    """The spend of one team; `cash` is its marginal cash, where that is not all of it."""

    team: str
    now: str
    before: str
    change: str
    cash: str = ""


class View(NamedTuple):
    """The whole summary as text."""

    title: str
    period: str
    zone: str
    made: str
    mode: str
    story: str
    figures: tuple[Figure, ...]
    incidents: tuple[IncidentCard, ...]
    waiting: tuple[str, ...]
    still_open: tuple[str, ...]
    trust: tuple[str, ...]
    teams: tuple[TeamRow, ...]
    budgets: tuple[str, ...]
    chart_says: str
    audit_head: str
