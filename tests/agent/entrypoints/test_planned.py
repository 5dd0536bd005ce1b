"""`bursar planned` and `bursar series` as people and scripts use them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store.ledger.ledger import open_ledger
from store.model.incident import Incident
from store.model.usage import Scope
from tests.agent.entrypoints.test_cli import bursar

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


def words(*more: str) -> tuple[str, ...]:
    return ("--data-dir", "data", *more)


def test_an_event_is_added_listed_and_removed(tmp_path: Path) -> None:
    """It stands in the list with scope, owner and expiry beside those of the configuration; a second removal fails."""
    begins = (NOW - HOUR).isoformat()
    (tmp_path / "bursar.yaml").write_text(
        "detectors:\n  planned:\n"
        "    - {name: audit, window: {start: 2026-01-01T00:00:00Z, end: 2036-01-02T00:00:00Z}}\n"
    )
    added = bursar(
        *words("planned", "add", "launch", "--from", begins, "--hours", "6", "--scope", "team=search"),
        *("--owner", "ann", "--because", "version 2"),
        cwd=tmp_path,
    )
    assert added.returncode == 0, added.stderr
    listed = json.loads(bursar(*words("planned", "list", "--json"), cwd=tmp_path).stdout)
    assert [(one["name"], one["owner"], one["state"]) for one in listed] == [
        ("launch", "ann", "running"),
        ("audit", "configuration", "running"),
    ]
    assert listed[0]["scope"] == {"team": "search"}
    assert listed[0]["because"] == "version 2"
    assert bursar(*words("planned", "remove", "launch"), cwd=tmp_path).returncode == 0
    again = bursar(*words("planned", "remove", "launch"), cwd=tmp_path)
    assert (again.returncode, "planned list --all" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--from", "2026-11-20"), "--hours"),
        (("--from", "2026-11-20", "--to", "2026-11-19"), "not later"),
        (("--from", "soon", "--hours", "2"), "ISO 8601"),
        (("--from", "2026-11-20", "--hours", "2", "--scope", "team"), "DIMENSION=VALUE"),
        (("--from", "2026-11-20", "--hours", "2", "--scope", "foo=1"), "unknown dimension"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(more: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """Exit code 2 and a line that says what to write."""
    done = bursar(*words("planned", "add", "x", *more), cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_an_incident_is_explained_until_it_expires(tmp_path: Path) -> None:
    """It is marked at once, and the entry stands in the list with its incident and its end."""
    (tmp_path / "data").mkdir()
    ledger = open_ledger(f"sqlite:///{tmp_path}/data/ledger.db", clock=lambda: NOW)
    incident = Incident(
        id="inc-1",
        scope=Scope.of(team="search"),
        opened_at=NOW - HOUR,
        started_at=NOW - 2 * HOUR,
        seen_until=NOW,
        revised_at=NOW,
        excess_nanos=10**9,
        baseline_nanos=0,
        actual_nanos=10**9,
        revised_excess_nanos=10**9,
    )
    ledger.save_incident(incident)
    ledger.close()
    unknown = bursar(*words("planned", "explain", "inc-2"), cwd=tmp_path)
    assert (unknown.returncode, "bursar incidents" in unknown.stderr) == (2, True)
    done = bursar(*words("planned", "explain", "inc-1", "--days", "3", "--because", "a new customer"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(bursar(*words("planned", "list", "--json"), cwd=tmp_path).stdout)
    assert (entry["kind"], entry["incident"], entry["holds_back"]) == ("explained", "inc-1", ["inc-1"])
    expires = datetime.fromisoformat(entry["expires"])
    assert timedelta(days=2.9) < expires - NOW < timedelta(days=3.1)


def test_series_are_listed_with_the_months_end(tmp_path: Path) -> None:
    """Series of three weeks of one app have a baseline and a state, and the team a forecast with its interval."""
    start = 1793577600.0
    rows = [
        {
            "id": f"{hour}-{i}",
            "call_type": "acompletion",
            "model": "claude-sonnet-4-5",
            "custom_llm_provider": "anthropic",
            "startTime": start + hour * 3600 + i * 60 - 1,
            "endTime": start + hour * 3600 + i * 60,
            "status": "success",
            "response_cost": 0.0105,
            "prompt_tokens": 1000,
            "completion_tokens": 500,
            "metadata": {"user_api_key_alias": "search-prod", "user_api_key_team_alias": "search"},
        }
        for hour in range(20 * 24)
        for i in range(4 + hour % 24 // 8)
    ]
    (tmp_path / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert bursar(*words("ingest", "litellm", "usage.jsonl"), cwd=tmp_path).returncode == 0
    (tmp_path / "bursar.yaml").write_text(
        'budgets:\n  - {name: search, scope: {team: search}, period: month, usd: "1"}\n'
    )
    at = datetime.fromtimestamp(start + 20 * 24 * 3600, tz=UTC).isoformat()
    done = bursar(*words("series", "--at", at, "--json"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    team = next(one for one in document["series"] if one["scope"] == {"team": "search"})
    assert team["state"] == "normal"
    assert team["last_24h_usd"] == pytest.approx(team["last_24h_baseline_usd"], rel=0.05)
    end = next(one for one in document["month_end"] if one["scope"] == {"team": "search"})
    assert end["forecast_usd"]["low"] <= end["forecast_usd"]["mid"] <= end["forecast_usd"]["high"]
    assert end["spent_usd"] < end["forecast_usd"]["mid"]
    assert document["budgets"][0]["standing"] == "exceeded"
    shown = bursar(*words("series", "--at", at, "--top", "2"), cwd=tmp_path)
    assert "month's end" in shown.stdout
    assert shown.stdout.startswith("series")
