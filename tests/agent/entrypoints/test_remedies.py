"""`bursar remedies`: what was expected and what was saved, by remedy and by team, and how far estimates came true."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.entrypoints.cli import app
from store.ledger.ledger import open_ledger
from tests.agent.test_savings import A_DAY, check
from tests.store.ledger.examples import T0, a_proposal, a_ruling, an_application, an_incident, claimed, moved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with one remedy that works: measured for two hours, the first of them twice."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=lambda: T0)
    ledger.save_incident(an_incident())
    plan = a_proposal().model_copy(update={"saving": A_DAY})
    ledger.file(plan, a_ruling(plan, "apply"))
    claim, remedy = claimed(ledger)
    assert ledger.intend(claim, an_application(plan, claim), moved(remedy, state="applying"))
    assert ledger.conclude(claim, moved(remedy, state="kept"))
    for found in (check(0, 1, 5, "inconclusive"), check(0, 2, 8)):
        claim, remedy = claimed(ledger)
        ends = T0 + timedelta(days=1)
        assert ledger.conclude(claim, moved(remedy, applied_at=T0, lease_ends_at=ends), verification=found)
    ledger.close()
    return tmp_path


def said(folder: Path, *words: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, ["--data-dir", str(folder), "remedies", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_it_shows_both_savings_with_the_interval(folder: Path) -> None:
    """An hour that was measured again counts once; then the sums by team, and the playbook's record."""
    text = said(folder)
    assert "expected $24.00 a day; saved: $8.00 ($7.00 to $9.00) in 2 h 00 min, where $2.00 was expected" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["search", "$8.00"] in [row[:2] for row in rows]
    assert rows[-1][1:] == ["1", "100%"]


def test_one_remedy_is_shown_window_by_window(folder: Path) -> None:
    """Every look, the one that was not conclusive too."""
    lines = said(folder, "rem-1").splitlines()
    assert [line.split()[3] for line in lines if " to 2026" in line] == ["inconclusive:", "worked:"]


def test_the_document_has_the_same(folder: Path) -> None:
    """For scripts: numbers in USD, whose saving it is, and what was expected of the same time."""
    [shown] = json.loads(said(folder, "--json"))
    assert (shown["team"], shown["saved_usd"]) == ("search", 8.0)
    assert shown["realised"]["saved_usd"] == {"low": 7.0, "mid": 8.0, "high": 9.0}
    assert shown["realised"]["measured_seconds"] == 7200
    assert shown["realised"]["expected_usd"] == 2.0
