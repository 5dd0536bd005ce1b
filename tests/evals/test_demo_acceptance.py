"""The whole story, as `make demo` plays it: every promise of the README's first screen."""

import json
from pathlib import Path
from typing import Any

import pytest

from store.ledger.ledger import open_ledger
from tests.agent.entrypoints.test_cli import bursar


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One play of the demo with its shipped seed; (its folder, its document)."""
    folder = tmp_path_factory.mktemp("demo")
    done = bursar("demo", "--json", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return folder / "out", document


def test_six_causes_are_the_true_ones(played: tuple[Path, dict[str, Any]]) -> None:
    """At least six incidents have the cause that was seeded, and their excess is near the true one."""
    right = [one for one in played[1]["incidents"] if one["cause"] == one["true_cause"]]
    assert len(right) >= 6
    assert {one["cause"] for one in right} >= {
        "agent_loop",
        "retry_storm",
        "cache_break",
        "model_switch",
        "leaked_key",
        "organic_growth",
    }


def test_every_kind_of_outcome_is_among_them(played: tuple[Path, dict[str, Any]]) -> None:
    """Worked, without effect, harmful and taken back, rejected, left alone; decided by rules and by people."""
    incidents = played[1]["incidents"]
    outcomes = {one["outcome"] for one in incidents}
    assert outcomes >= {"worked", "no_effect", "harmed_reverted", "rejected", "left_alone"}
    assert {"apply", "ask"} <= {one["verdict"] for one in incidents}


def test_the_summary_is_written(played: tuple[Path, dict[str, Any]]) -> None:
    """Markdown, HTML and a PNG chart lie where the document says."""
    summary = played[1]["summary"]
    folder = played[0].parent
    assert (folder / summary["markdown"]).read_text().startswith("#")
    assert "<html" in (folder / summary["html"]).read_text()
    assert (folder / summary["png"]).read_bytes().startswith(b"\x89PNG")


def test_its_ledger_verifies_and_adds_up(played: tuple[Path, dict[str, Any]]) -> None:
    """The audit chain of a whole week holds, and every finding's drivers add up to the incident's excess."""
    from datetime import UTC, datetime

    ledger = open_ledger(f"sqlite:///{played[0] / 'ledger.db'}", clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    try:
        assert ledger.verify_audit().ok
        for incident in ledger.incidents(status="closed"):
            finding = ledger.finding(incident.id)
            assert finding is not None
            assert sum(share.nanos for share in finding.drivers) == incident.excess_nanos
    finally:
        ledger.close()
