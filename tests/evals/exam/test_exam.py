"""The exam at work: a few easy cases with their twins, what the scorer says of wrong answers, and the command."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.backtest import Backtest
from agent.entrypoints.cli import app
from evals.exam.catalogue import named
from evals.exam.report import Report, seed_of
from evals.exam.score import opened_in_twin, score
from evals.exam.sit import sit
from evals.exam.stage import Staged, stage
from evals.exam.take import take
from store.model.incident import CauseScore
from store.model.usage import Scope


@pytest.fixture(scope="module")
def sat() -> tuple[Staged, Backtest]:
    """An easy case and what the service made of it."""
    staged = stage(named(["case-1220"])[0], 5)
    return staged, sit(staged, staged.history, staged.after)


@pytest.mark.parametrize("name", ["case-0720", "case-0620"])
def test_an_easy_case_passes_and_its_twins_are_quiet(name: str) -> None:
    """Found for the right cause, nothing on the clean twin, nothing else on the hostile one."""
    case = named([name])[0]
    scored = take(case, seed_of(case, 0, "build"))
    assert scored.passed
    assert scored.scope_jaccard is not None
    assert scored.scope_jaccard > 0.95
    assert scored.excess_error is not None
    assert scored.excess_error < 0.1
    assert scored.worth == "acceptable"
    assert scored.twin_opened == 0
    assert scored.hostile_differences == ()


def test_a_run_that_saw_nothing_fails(sat: tuple[Staged, Backtest]) -> None:
    """An incident that is missing is not a question that does not arise."""
    staged, run = sat
    assert score(staged, run).passed
    missed = score(staged, Backtest(window=run.window))
    assert (missed.passed, missed.opened, missed.top1, missed.excess_error) == (False, False, None, None)


def test_a_wrong_cause_and_a_wrong_sum_are_seen(sat: tuple[Staged, Backtest]) -> None:
    """Each figure is judged against the truth, not against the finding itself."""
    staged, run = sat
    right = score(staged, run)
    assert right.excess_usd is not None
    assert right.excess_usd == pytest.approx(right.true_excess_usd, rel=0.1)
    wrong = {
        key: finding.model_copy(
            update={
                "causes": (CauseScore(cause="organic_growth", confidence=0.9), *finding.causes),
                "excess_nanos": 2 * finding.excess_nanos,
            }
        )
        for key, finding in run.findings.items()
    }
    judged = score(staged, replace(run, findings=wrong))
    assert (judged.passed, judged.top1, judged.top3) == (False, False, True)
    assert judged.excess_error is not None
    assert judged.excess_error > 0.8


def test_an_incident_elsewhere_is_a_false_alarm(sat: tuple[Staged, Backtest]) -> None:
    """It finds nothing of the fault."""
    staged, run = sat
    elsewhere = [one.model_copy(update={"scope": Scope.of(app="redactor")}) for one in run.incidents]
    judged = score(staged, replace(run, incidents=elsewhere))
    assert (judged.opened, judged.false_alarms) == (False, len(elsewhere))


def test_a_whole_that_is_too_wide_has_a_low_scope_score(sat: tuple[Staged, Backtest]) -> None:
    """The total holds the fault, and everything else."""
    staged, run = sat
    wide = [one.model_copy(update={"scope": Scope()}) for one in run.incidents]
    judged = score(staged, replace(run, incidents=wide))
    assert judged.opened
    assert judged.scope_jaccard is not None
    assert judged.scope_jaccard < 0.9


def test_a_twin_is_disturbed_by_incidents_in_the_scope_of_the_case_only(sat: tuple[Staged, Backtest]) -> None:
    """The app or a part of it counts, and a wider scope that is mostly the app; another app does not."""
    staged, run = sat
    assert len(opened_in_twin(staged, run)) == len(run.incidents) > 0
    elsewhere = [one.model_copy(update={"scope": Scope.of(app="redactor")}) for one in run.incidents]
    assert opened_in_twin(staged, replace(run, incidents=elsewhere)) == []


def test_targets_are_missed_where_rows_are_bad(sat: tuple[Staged, Backtest]) -> None:
    """One harmful remedy, one cause not found, one twin that differs: each misses its own target."""
    good = score(*sat)
    good = replace(good, twin_opened=0, hostile_differences=(), saving_error=0.1)
    assert all(target.ok for target in Report("build", [good]).targets())
    bad = replace(
        good,
        harmful_applied=1,
        top1=False,
        top3=False,
        passed=False,
        saving_error=0.5,
        twin_opened=1,
        hostile_differences=(".x",),
    )
    missed = {target.name for target in Report("build", [good, bad]).targets() if not target.ok}
    assert missed == {
        "cause top-1",
        "cause top-3",
        "harmful remedies applied",
        "saving error, median",
        "easy cases passed",
        "clean twins with an incident",
        "hostile twins that differ",
    }


def test_the_command_gives_one_document_and_names_its_cases(tmp_path: Path) -> None:
    """Rows, figures and targets as JSON; an unknown case is bad input."""
    runner = CliRunner()
    listed = runner.invoke(app, ["eval", "--list", "--tag", "easy"])
    assert "case-0720 easy" in listed.stdout
    history = tmp_path / "history.jsonl"
    asked = ["eval", "case-0720", "--seeds", "build", "--no-twins", "--history", str(history), "--json"]
    result = runner.invoke(app, asked)
    document = json.loads(result.stdout)
    assert result.exit_code == (0 if all(target["ok"] for target in document["targets"]) else 1)
    assert [row["case"] for row in document["rows"]] == ["case-0720"]
    assert {"name", "value", "target", "ok"} == set(document["targets"][0])
    assert json.loads(history.read_text())["cases"] == 1
    assert runner.invoke(app, ["eval", "case-9999"]).exit_code != 0
