"""What the demo came to, as data: one row per incident, and the document of `demo --json`."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.report.write import Paths
from evals.demo.outcome import Fate, Story, main_story, remedy_stories
from evals.demo.truth import true_incident
from evals.world.world import TrueIncident
from store.ledger.ledger import Ledger
from store.model.incident import Cause
from store.model.money import usd_number
from store.model.remedy import Verdict
from store.model.summary import IncidentLine, WeeklySummary
from store.model.usage import Intake, Window


class Row(NamedTuple):
    """One incident against the truth. Amounts are nano-USD; `truth` None: nothing was seeded there."""

    line: IncidentLine
    truth: TrueIncident | None
    stories: tuple[Story, ...]
    verdict: Verdict
    decided_by: tuple[str, ...]
    outcome: Fate

    @property
    def true_cause(self) -> Cause | None:
        """The seeded cause."""
        return self.truth.cause if self.truth else None

    def document(self) -> dict[str, object]:
        """As `demo --json` prints it."""
        return {
            "id": self.line.incident_id,
            "scope": self.line.scope.as_dict(),
            "cause": self.line.cause,
            "true_cause": self.true_cause,
            "excess_usd": usd_number(self.line.excess_nanos),
            "true_excess_usd": usd_number(self.truth.true_excess_nanos) if self.truth else 0.0,
            "avoided_usd": usd_number(self.line.avoided_nanos),
            "verdict": self.verdict,
            "decided_by": list(self.decided_by),
            "outcome": self.outcome,
            "remedies": [
                {
                    "playbook": story.proposal.playbook,
                    "verdict": story.verdict,
                    "decided_by": list(story.decided_by),
                    "outcome": story.fate,
                }
                for story in self.stories
            ],
        }


class DemoResult(NamedTuple):
    """The whole demo: `missed` are seeded incidents for which none was opened; `seconds` is wall time."""

    seconds: float
    records: Intake
    rows: tuple[Row, ...]
    missed: tuple[TrueIncident, ...]
    summary: WeeklySummary
    files: Paths

    def document(self) -> dict[str, object]:
        """The document of `demo --json`: JSON types only."""
        return {
            "seconds": round(self.seconds, 2),
            "records": self.records.model_dump(),
            "incidents": [row.document() for row in self.rows],
            "missed": [{"scope": one.scope.as_dict(), "true_cause": one.cause} for one in self.missed],
            "summary": {
                "markdown": str(self.files.markdown),
                "html": str(self.files.html),
                "png": str(self.files.png),
            },
        }


def rows_of(ledger: Ledger, summary: WeeklySummary, truth: Sequence[TrueIncident]) -> tuple[Row, ...]:
    """The summary's incidents in order of their start, each with what it really was and what became of it."""
    return tuple(_row(ledger, line, truth) for line in sorted(summary.incidents, key=lambda line: line.started_at))


def missed_of(rows: Sequence[Row], truth: Sequence[TrueIncident]) -> tuple[TrueIncident, ...]:
    """The seeded incidents that no row is about."""
    return tuple(one for one in truth if all(row.truth != one for row in rows))


def _row(ledger: Ledger, line: IncidentLine, truth: Sequence[TrueIncident]) -> Row:
    stories = remedy_stories(ledger, line.incident_id)
    main = main_story(stories)
    incident = ledger.incident(line.incident_id)
    window = incident.window if incident else Window(start=line.started_at, end=line.opened_at)
    return Row(
        line=line,
        truth=true_incident(line.scope, window, truth),
        stories=tuple(stories),
        verdict=main.verdict if main else "observe",
        decided_by=main.decided_by if main else (),
        outcome=main.fate if main else "left_alone",
    )
