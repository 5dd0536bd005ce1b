"""The command line as scripts rely on it: one JSON document on stdout, exit codes, one clear line for bad input."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.agent.steps.test_restate import charge, written

ROOT = Path(__file__).parents[3]


def bursar(*words: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder."""
    command = [str(Path(sys.executable).parent / "bursar"), *words]
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("BURSAR")}, **(env or {})}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300)


def call(call_id: str, at: float, **more: object) -> dict[str, object]:
    """One LiteLLM log payload."""
    return {
        "id": call_id,
        "call_type": "acompletion",
        "model": "claude-sonnet-4-5",
        "custom_llm_provider": "anthropic",
        "startTime": at - 1,
        "endTime": at,
        "status": "success",
        "response_cost": 0.0105,
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "metadata": {"user_api_key_alias": "search-prod", "user_api_key_team_alias": "search"},
        **more,
    }


@pytest.fixture
def usage(tmp_path: Path) -> Path:
    """A small usage file with a call twice and a row that cannot be right."""
    rows = [call("a", 1793620800.0), call("b", 1793624400.0), call("a", 1793620800.0), call("c", -5.0)]
    path = tmp_path / "usage.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_ingest_counts_every_row_once(usage: Path, tmp_path: Path) -> None:
    """In = accepted + duplicate + superseded + quarantined, and stdout holds one JSON document and nothing else."""
    done = bursar("ingest", "litellm", str(usage), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"accepted": 2, "duplicate": 1, "superseded": 0, "quarantined": 1}
    again = bursar("ingest", "litellm", str(usage), "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == {"accepted": 0, "duplicate": 3, "superseded": 0, "quarantined": 1}


def test_what_was_kept_out_is_named(usage: Path, tmp_path: Path) -> None:
    """A reading says why most rows were kept out, and `quarantine` lists reasons with a row of each, escaped."""
    said = bursar("ingest", "litellm", str(usage), cwd=tmp_path).stderr
    assert "1 rows are quarantined, most of them: " in said
    assert "`bursar quarantine`" in said
    (one,) = json.loads(bursar("quarantine", "--json", cwd=tmp_path).stdout)
    assert (one["source"], one["rows"]) == ("litellm", 1)
    assert one["reason"] in said.replace("\n", " ")
    assert json.loads(one["raw"][0])["id"] == "c"
    assert one["reason"][:30] in bursar("quarantine", cwd=tmp_path).stdout
    assert json.loads(bursar("quarantine", "--source", "other", "--json", cwd=tmp_path).stdout) == []


def test_a_file_of_which_nothing_could_be_used_has_failed(tmp_path: Path) -> None:
    """Most likely it is another format: the reason is said, the exit code is 1, and the rows are kept to be seen."""
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n["\x1b]0;owned"]\n')
    done = bursar("ingest", "litellm", "other.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["quarantined"] == 2
    assert "most of them: " in done.stderr
    listed = bursar("quarantine", cwd=tmp_path).stdout
    assert "\x1b" not in listed, "a terminal never gets a row's control characters"


def test_a_part_of_a_month_that_replaces_the_rest_is_said(tmp_path: Path) -> None:
    """Two commands for two parts of one month are two statements of it: whoever meant one is told."""
    first = written(tmp_path / "1" / "part-1.csv", [charge(1, "a", 100), charge(1, "b", 10)], at=datetime.now(UTC))
    second = written(tmp_path / "2" / "part-2.csv", [charge(2, "a", 10)], at=datetime.now(UTC) + timedelta(minutes=1))
    assert "earlier statements" not in bursar("ingest", "focus", str(first), cwd=tmp_path).stderr
    said = bursar("ingest", "focus", str(second), "--json", cwd=tmp_path)
    assert json.loads(said.stdout)["accepted"] == 1
    assert "2 rows of earlier statements of these periods are not in this one" in said.stderr.replace("\n", " ")


def test_status_and_backtest_are_json(usage: Path, tmp_path: Path) -> None:
    """Every read command takes --json."""
    assert bursar("ingest", "litellm", str(usage), cwd=tmp_path).returncode == 0
    status = json.loads(bursar("status", "--json", cwd=tmp_path).stdout)
    assert status["mode"] == "shadow"
    assert status["sources"][0]["records"] == 2
    tested = json.loads(bursar("backtest", "--json", cwd=tmp_path).stdout)
    assert set(tested) == {"incidents", "records", "trust"}
    assert tested["records"] == {"accepted": 2, "duplicate": 1, "superseded": 0, "quarantined": 1}


def test_backtest_shows_an_incident_in_full(tmp_path: Path) -> None:
    """A spike in recorded usage comes out with drivers that add up, a cause, evidence and a ruled proposal."""
    start = 1793577600.0
    rows = [call(f"n{h}-{i}", start + h * 3600 + i * 60) for h in range(24 * 9) for i in range(20)]
    loop = [
        call(f"x{i}", start + (24 * 8 + 2) * 3600 + i * 2, metadata={**_META, "session_id": "one"}) for i in range(3000)
    ]
    path = tmp_path / "usage.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in [*rows, *loop])
    assert bursar("ingest", "litellm", str(path), cwd=tmp_path).returncode == 0
    tested = json.loads(bursar("backtest", "--json", cwd=tmp_path).stdout)
    assert len(tested["incidents"]) == 1
    incident = tested["incidents"][0]
    assert incident["scope"]["team"] == "search"
    assert incident["excess_usd"] == pytest.approx(31.5, rel=0.2)
    assert round(sum(driver["usd"] for driver in incident["drivers"]), 2) == incident["excess_usd"]
    assert incident["cause"] is not None
    assert incident["evidence"]
    assert incident["proposals"][0]["ruling"]["verdict"] == "observe", "the shipped mode is shadow"


_META = {"user_api_key_alias": "search-prod", "user_api_key_team_alias": "search"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ingest", "litellm", "nowhere.jsonl"], "nowhere.jsonl"),
        (["ingest", "parquetry", "x"], "parquetry"),
        (["ingest", "litellm", "x.jsonl", "--billing-mode", "included"], "otlp only"),
        (["ingest", "tabular", "x.csv"], "--map"),
        (["--config", "absent.yaml", "status"], "absent.yaml"),
        (["incidents", "inc-none"], "inc-none"),
        (["approve", "rem-none@1", "--yes"], "rem-none@1"),
        (["approve", "rem-none", "--yes"], "REMEDY@REVISION"),
        (["revert"], "--all"),
        (["revert", "rem-none"], "rem-none"),
        (["report", "weekly", "--week", "2026-99"], "2026-99"),
        (["backtest", "--from", "yesterday"], "empty"),
        (["audit", "verify", "--anchor", "absent.json"], "absent.json"),
        (["detect", "absent.csv"], "absent.csv"),
        (["kill-switch", "maybe"], "on, off or status"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(words: list[str], says: str, tmp_path: Path) -> None:
    """Bad input ends with exit code 2, one line on stderr that names it, and nothing on stdout."""
    done = bursar(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("polcy: {mode: ask}", "polcy: unknown key"),
        ("policy: {mode: yolo}", "policy.mode"),
        ("ledger: {url: 'postgresql+psycopg://u:${NO_SUCH_SECRET}@h/d'}", "NO_SUCH_SECRET is not set"),
        ("sources: [unclosed", "not YAML"),
        ("- a list", "expected keys"),
    ],
)
def test_a_bad_configuration_names_file_and_key(text: str, says: str, tmp_path: Path) -> None:
    """An unknown key, a wrong value, a missing secret: what, where, what to do; exit code 2."""
    (tmp_path / "bursar.yaml").write_text(text)
    done = bursar("check", cwd=tmp_path)
    assert done.returncode == 2
    assert "bursar.yaml" in done.stderr
    assert says in done.stderr


def test_init_then_check(tmp_path: Path) -> None:
    """The example configuration is valid, is never overwritten, and every part answers."""
    assert bursar("init", cwd=tmp_path).returncode == 0
    assert bursar("init", cwd=tmp_path).returncode == 2
    checked = bursar("check", "--online", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    document = json.loads(checked.stdout)
    assert document["settings"]["policy"]["mode"] == "shadow"
    assert document["origin"]["policy.mode"] == "bursar.yaml"
    assert {part["state"].split(",")[0] for part in document["parts"]} == {"ok"}


def test_check_hides_secrets(tmp_path: Path) -> None:
    """A value that came from the environment is shown by its name only."""
    (tmp_path / "bursar.yaml").write_text("ledger: {url: 'sqlite:///${LEDGER_FILE}'}")
    done = bursar("check", "--json", cwd=tmp_path, env={"LEDGER_FILE": "s3cret.db"})
    assert "s3cret" not in done.stdout
    assert json.loads(done.stdout)["settings"]["ledger"]["url"] == "${LEDGER_FILE}"


def test_kill_switch_is_kept(tmp_path: Path) -> None:
    """The switch is a row: it holds for every later process."""
    assert "on" in bursar("kill-switch", "on", "--reason", "drill", cwd=tmp_path).stdout
    assert json.loads(bursar("status", "--json", cwd=tmp_path).stdout)["kill_switch"] is True
    bursar("kill-switch", "off", cwd=tmp_path)
    assert json.loads(bursar("status", "--json", cwd=tmp_path).stdout)["kill_switch"] is False


def test_audit_verify_finds_an_edited_row(tmp_path: Path) -> None:
    """Whoever edits the ledger's file behind its back is found, exit code 1."""
    bursar("kill-switch", "on", "--reason", "drill", cwd=tmp_path)
    assert bursar("audit", "verify", cwd=tmp_path).returncode == 0
    with closing(sqlite3.connect(tmp_path / "bursar-data" / "ledger.db")) as db, db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{name}"')
        db.execute("UPDATE audit SET actor = 'nobody'")
    done = bursar("audit", "verify", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False


def test_detect_reads_any_series(tmp_path: Path) -> None:
    """The lab runs the shipped detector on a CSV without any configuration."""
    lines = ["series,bucket_start,cost_usd,requests"]
    for hour in range(24 * 21):
        cost = 400.0 if hour in range(480, 484) else 10.0 + hour % 24
        lines.append(f"a,{1793577600 + hour * 3600},{cost},{int(cost * 10)}")
    (tmp_path / "series.csv").write_text("\n".join(lines) + "\n")
    done = bursar("detect", "series.csv", "--json", "--scores", "scores.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alerts = json.loads(done.stdout)["alerts"]
    assert [alert["series"] for alert in alerts] == ["a"]
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 24 * 21 + 1


def test_policy_explain_names_every_rule(tmp_path: Path) -> None:
    """What the policy would say of a stored proposal, rule by rule; and `policy check` lists them in order."""
    done = bursar("policy", "check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "small-limits-outside-production" in done.stdout
    (tmp_path / "bursar-data").mkdir()
    file_a_proposal(tmp_path / "bursar-data" / "ledger.db")
    told = bursar("policy", "explain", "rem-x", "--json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    assert [rule["name"] for rule in document["rules"]] == [
        "nothing-to-change",
        "small-limits-outside-production",
        "default",
    ]
    assert document["ruling"]["verdict"] == "observe", "the shipped mode is shadow"
    shown = json.loads(bursar("remedies", "rem-x", "--json", cwd=tmp_path).stdout)
    assert shown[0]["state"] == "pending"
    refused = bursar("approve", "rem-x@1", "--yes", "--as", "mallory", cwd=tmp_path)
    assert refused.returncode == 1
    approved = bursar("approve", "rem-x@1", "--yes", "--as", "ann", "--reason", "seen", cwd=tmp_path)
    assert approved.returncode == 0, approved.stdout + approved.stderr
    again = bursar("reject", "rem-x@1", "--yes", "--as", "ann", cwd=tmp_path)
    assert again.returncode == 1
    assert "lready approved by ann" in again.stdout


def file_a_proposal(path: Path) -> None:
    """Put one pending remedy into a ledger file, with ann as its only approver."""
    from datetime import UTC, datetime, timedelta

    from store.ledger.ledger import open_ledger
    from store.model.remedy import Check, Proposal, Ruling, Saving, SetRateLimit
    from store.model.usage import Scope

    now = datetime.now(UTC)
    scope = Scope.of(team="search")
    proposal = Proposal(
        remedy_id="rem-x",
        incident_id="inc-x",
        incident_revision=1,
        scope=scope,
        playbook="rate_limit",
        cause="retry_storm",
        confidence=0.9,
        gateway="guard",
        actions=(SetRateLimit(target=scope, requests_per_minute=10),),
        risk="low",
        reversible=True,
        saving=Saving(low=0, mid=1, high=2, cash_mid=1, assumption="replayed"),
        quality_note="some requests are refused",
        undo_note="the limit goes",
        check=Check(window_seconds=900, min_reduction=0.2),
        lease_seconds=3600,
        made_at=now,
        expires_at=now + timedelta(hours=24),
    )
    ruling = Ruling(
        remedy_id="rem-x",
        revision=1,
        verdict="ask",
        rule="default",
        policy_version="v",
        ruled_at=now,
        approvers=("ann",),
    )
    ledger = open_ledger(f"sqlite:///{path}", clock=lambda: now)
    ledger.file(proposal, ruling)
    ledger.close()
