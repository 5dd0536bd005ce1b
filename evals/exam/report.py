"""The exam's figures over all rows, and the targets."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from zlib import crc32

from evals.bench.rca import wilson
from evals.exam.case import Case
from evals.exam.score import Score

Seeds = Literal["build", "report"]
_FIRST: dict[Seeds, tuple[int, int]] = {"build": (0, 97), "report": (1000, 8999)}
"""The first seed of a kind, and how many there are. Whoever builds looks at the first kind only."""


class Target(NamedTuple):
    """A figure that must be reached."""

    name: str
    value: float | None
    target: float
    ok: bool


@dataclass(frozen=True)
class Report:
    """All rows of an exam."""

    seeds: Seeds
    rows: Sequence[Score]

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "seeds": self.seeds,
            "rows": [row.row() for row in self.rows],
            "figures": self.figures(),
            "by_pattern": self.by_pattern(),
            "targets": [target._asdict() for target in self.targets()],
        }

    def head(self) -> dict[str, object]:
        """The figures and the kind of seeds, for the history."""
        return {"seeds": self.seeds, **self.figures()}

    def figures(self) -> dict[str, object]:
        """What the rows come to."""
        opened = [row for row in self.rows if row.top1 is not None]
        due = [row for row in self.rows if row.must_open]
        low, high = wilson(sum(row.top1 is True for row in opened), len(opened)) if opened else (0.0, 1.0)
        return {
            "cases": len(self.rows),
            "opened_of_those_due": _share(due, lambda row: row.opened),
            "delay_hours_median": _median(row.delay_hours for row in self.rows),
            "cause_top1": _share(opened, lambda row: row.top1 is True),
            "cause_top1_95_low": round(low, 4),
            "cause_top1_95_high": round(high, 4),
            "cause_top1_missed_ones_wrong": _share(due, lambda row: row.top1 is True),
            "cause_top3": _share(opened, lambda row: row.top3 is True),
            "scope_jaccard_mean": _mean(row.scope_jaccard for row in self.rows),
            "focus_jaccard_mean": _mean(row.focus_jaccard for row in self.rows),
            "excess_error_median": _median(row.excess_error for row in self.rows),
            "excess_error_p90": _p90(row.excess_error for row in self.rows),
            "remedy_acceptable": _share([row for row in opened if row.worth], lambda row: row.worth == "acceptable"),
            "remedy_harmful": sum(row.worth == "harmful" for row in self.rows),
            "saving_error_median": _median(row.saving_error for row in self.rows),
            "saving_error_p90": _p90(row.saving_error for row in self.rows),
            "saving_floor_median": _median(row.saving_floor for row in self.rows),
            "saving_within_interval": _share(
                [row for row in self.rows if row.saving_within is not None], lambda row: row.saving_within is True
            ),
            "savings_judged": sum(row.saving_error is not None for row in self.rows),
            "harmful_applied": sum(row.harmful_applied for row in self.rows),
            "false_alarms": sum(row.false_alarms for row in self.rows),
            "clean_twins": sum(row.twin_opened is not None for row in self.rows),
            "clean_twins_opened": sum(bool(row.twin_opened) for row in self.rows),
            "hostile_twins": sum(row.hostile_differences is not None for row in self.rows),
            "hostile_twins_different": sum(bool(row.hostile_differences) for row in self.rows),
            **{f"passed_{tag}": _passed(self.rows, tag) for tag in ("easy", "medium", "hard")},
        }

    def by_pattern(self) -> list[dict[str, object]]:
        """The main figures of each pattern."""
        return [
            {
                "pattern": pattern,
                "cases": len(rows),
                "opened": sum(row.opened for row in rows),
                "top1": sum(row.top1 is True for row in rows),
                "top3": sum(row.top3 is True for row in rows),
                "scope": _mean(row.scope_jaccard for row in rows),
                "excess_error": _median(row.excess_error for row in rows),
                "saving_error": _median(row.saving_error for row in rows),
                "saving_floor": _median(row.saving_floor for row in rows),
                "acceptable": sum(row.worth == "acceptable" for row in rows),
                "poor": sum(row.worth == "poor" for row in rows),
                "harmful": sum(row.worth == "harmful" for row in rows),
                "passed": sum(row.passed for row in rows),
            }
            for pattern in sorted({row.pattern for row in self.rows})
            for rows in [[row for row in self.rows if row.pattern == pattern]]
        ]

    def targets(self) -> list[Target]:
        """The targets; a figure that no row gives is left out."""
        figures = self.figures()
        asked: list[tuple[str, str, float, bool]] = [
            ("cause top-1", "cause_top1", 0.85, True),
            ("cause top-3", "cause_top3", 0.95, True),
            ("scope Jaccard, mean", "scope_jaccard_mean", 0.8, True),
            ("excess error, median", "excess_error_median", 0.1, False),
            ("harmful remedies applied", "harmful_applied", 0, False),
            ("saving error, median", "saving_error_median", 0.15, False),
            ("easy cases passed", "passed_easy", 1.0, True),
        ]
        if figures["clean_twins"]:
            asked.append(("clean twins with an incident", "clean_twins_opened", 0, False))
            asked.append(("hostile twins that differ", "hostile_twins_different", 0, False))
        targets = []
        for name, key, target, least in asked:
            value = figures[key]
            if isinstance(value, int | float):
                targets.append(Target(name, value, target, value >= target if least else value <= target))
        return targets


def seed_of(case: Case, attempt: int, seeds: Seeds) -> int:
    """The seed of one attempt at a case: every case has its own, and attempts at one never share any."""
    first, count = _FIRST[seeds]
    return first + (crc32(case.name.encode()) + attempt) % count


def _passed(rows: Iterable[Score], tag: str) -> float | None:
    return _share([row for row in rows if row.tag == tag], lambda row: row.passed)


def _share(rows: Sequence[Score], holds: Callable[[Score], bool]) -> float | None:
    return round(sum(map(holds, rows)) / len(rows), 4) if rows else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.fmean(known), 4) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 4) if known else None


def _p90(values: Iterable[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[min(len(known) - 1, int(0.9 * len(known)))] if known else None
