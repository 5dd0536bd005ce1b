"""`bursar reconcile`, `budgets`, `charges`, `status`: what a month cost, by kind of money, on the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent.app import assemble
from agent.entrypoints.cli import app
from agent.settings import Settings
from tests.tools.sources.cases import log_document

DAY = datetime(2026, 10, 5, tzinfo=UTC)
MIDNIGHT = int(DAY.timestamp())


def bursar(folder: Path, *words: str) -> Result:
    """Run a command on the folder's data directory, with the folder's configuration where it has one."""
    config = folder / "bursar.yaml"
    options = ["--config", str(config)] if config.exists() else []
    return CliRunner().invoke(app, [*options, "--data-dir", str(folder / "data"), *words])


def document(folder: Path, *words: str) -> Any:
    """The JSON document of a command that is fine."""
    done = bursar(folder, *words, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def refused(folder: Path, *words: str) -> str:
    """What a command that must fail says."""
    done = bursar(folder, *words)
    assert done.exit_code != 0, done.output
    return str(done.exception)


def seats(
    folder: Path, *, at: datetime = DAY, name: str = "agents", model: str = "claude-opus-4-5", billing: str = "included"
) -> None:
    """A Claude Code session of one team, on seats."""
    rows = []
    for n in range(10):
        event = {"event.name": "api_request", "event.sequence": n, "session.id": name, "model": model}
        counts = {"input_tokens": 1_000, "output_tokens": 2_000, "cache_read_tokens": 30_000}
        resource: dict[str, object] = {"service.name": "claude-code", "team.id": "platform"}
        nanos = str((int(at.timestamp()) + n * 60) * 10**9)
        rows.append(log_document({**event, **counts}, resource, timeUnixNano=nanos))
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    took = document(folder, "ingest", "otlp", str(path), "--billing-mode", billing, "--source", name)
    assert took["accepted"] == 10


def gateway(folder: Path, *, calls: int = 20, key: str = "k-search", team: str | None = "search") -> None:
    """Calls of one team through a LiteLLM proxy: 1,000 tokens in and 500 out of Sonnet, $0.0105 each."""
    rows = [
        {
            "id": f"{key}-{n}",
            "call_type": "acompletion",
            "model": "claude-sonnet-4-5",
            "custom_llm_provider": "anthropic",
            "startTime": MIDNIGHT + n * 600 - 1,
            "endTime": MIDNIGHT + n * 600,
            "status": "success",
            "response_cost": 0.0105,
            "prompt_tokens": 1000,
            "completion_tokens": 500,
            "metadata": {"user_api_key_hash": key, **({"user_api_key_team_alias": team} if team else {})},
        }
        for n in range(calls)
    ]
    path = folder / f"{key}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert document(folder, "ingest", "litellm", str(path))["accepted"] == calls


def anthropic(folder: Path, *, tokens: tuple[int, int], cents: str) -> None:
    """What Anthropic counted and billed for that day."""
    times = {"starting_at": "2026-10-05T00:00:00Z", "ending_at": "2026-10-06T00:00:00Z"}
    usage = {
        "uncached_input_tokens": tokens[0],
        "cache_creation": {},
        "cache_read_input_tokens": 0,
        "output_tokens": tokens[1],
        "model": "claude-sonnet-4-5-20250929",
    }
    cost = {"amount": cents, "currency": "USD", "model": "claude-sonnet-4-5-20250929", "cost_type": "tokens"}
    page = {"data": [{**times, "results": [usage]}, {**times, "results": [cost]}], "has_more": False}
    path = folder / "anthropic.json"
    path.write_text(json.dumps(page))
    assert document(folder, "ingest", "anthropic", str(path), "--role", "reference")["accepted"] == 2


def test_seats_have_list_value_and_no_marginal_spend(tmp_path: Path) -> None:
    """A team of Claude Code on seats: list value, zero marginal cash, and the seats as their own charge."""
    config = """
charges:
  - {name: claude seats, kind: seats, provider: anthropic, scope: {team: platform}, every: month,
     starts_at: 2026-01-01T00:00:00Z, amount: "2500.00", list_price: "3750.00", quantity: 25}
"""
    (tmp_path / "bursar.yaml").write_text(config)
    seats(tmp_path)
    found = document(tmp_path, "reconcile", "--month", "2026-10")
    (team,) = [one for one in found["teams"] if one["team"] == "platform"]
    assert team["own"] == {"list_usd": 0.7, "contracted_usd": 0.7, "marginal_cash_usd": 0.0}
    (charge,) = team["charges"]
    assert (charge["list_usd"], charge["contracted_usd"], charge["billed_usd"]) == (3750.0, 2500.0, 2500.0)
    assert found["usage"]["marginal_cash_usd"] == 0.0
    week = document(tmp_path, "report", "weekly", "--week", "2026-W41")
    assert (week["by_team"], week["cash_by_team"]) == ([["platform", 700_000_000, 0]], [["platform", 0]])
    now = datetime.now(UTC)
    seats(tmp_path, at=now.replace(hour=0, minute=0, second=0, microsecond=0, day=1), name="today")
    status = document(tmp_path, "status")["spend_this_month"]
    assert status["teams"] == [{"team": "platform", "list_usd": 0.7, "contracted_usd": 0.7, "marginal_cash_usd": 0.0}]
    said = bursar(tmp_path, "status").stdout
    assert "platform: list value $0.70, contracted $0.70, marginal cash $0.00" in said


def test_what_the_service_doubted_is_shown(tmp_path: Path) -> None:
    """A look of the service keeps its verdict in the ledger, where `bursar status` and the next service find it."""
    now = datetime.now(UTC)
    seats(tmp_path, at=now - timedelta(hours=3), model="house-model", billing="metered")
    service = assemble(Settings(data_dir=tmp_path / "data"), clock=lambda: now, owner="test", checkpointed=False)
    service.watch()
    service.close()
    (doubt,) = document(tmp_path, "status")["trust"]
    assert (doubt["kind"], doubt["scope"]) == ("unpriced", {"provider": "anthropic", "model": "house-model"})
    assert "house-model" in bursar(tmp_path, "status").stdout


def test_three_books_are_set_against_each_other(tmp_path: Path) -> None:
    """Twenty calls at the gateway, twenty-two at the provider, a bill with a discount: every cent has a name."""
    gateway(tmp_path)
    anthropic(tmp_path, tokens=(22_000, 11_000), cents="20.79")
    found = document(tmp_path, "reconcile", "--month", "2026-10")
    (provider,) = found["providers"]
    assert provider["gateway"]["contracted_usd"] == 0.21
    assert provider["counted"]["contracted_usd"] == 0.231
    assert provider["billed_usd"] == 0.2079
    missing = {one["name"]: one["usd"] for one in provider["gateway_less_provider"]}
    assert missing == {"missing_at_gateway": -0.021}
    discount = {one["name"]: one["usd"] for one in provider["invoice_less_usage"]}
    assert discount == {"price_difference": -0.0231}
    assert [one["day"] for one in found["days"]["gateway_provider"]] == ["2026-10-05"]
    teams = {one["team"]: one["gateway_less_provider"] for one in found["teams"]}
    assert [one["name"] for one in teams["search"]] == ["unallocated"]
    said = bursar(tmp_path, "reconcile", "--month", "2026-10")
    assert said.exit_code == 0
    assert "missing_at_gateway" in said.stdout


def test_a_bill_in_another_currency_is_named_until_there_is_a_rate(tmp_path: Path) -> None:
    """A FOCUS row in EUR is in no sum; with a dated rate `bursar allocate` makes it the invoice."""
    gateway(tmp_path, calls=10)
    row = {
        "BilledCost": "0.10",
        "BillingCurrency": "EUR",
        "BillingPeriodStart": "2026-10-01T00:00:00Z",
        "BillingPeriodEnd": "2026-11-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": "2026-10-05T00:00:00Z",
        "ChargePeriodEnd": "2026-10-06T00:00:00Z",
        "ConsumedQuantity": "5000",
        "ConsumedUnit": "Tokens",
        "ProviderName": "anthropic",
        "ServiceCategory": "AI and Machine Learning",
        "SkuPriceDetails": json.dumps({"ModelId": "claude-sonnet-4-5", "TokenDirection": "Output"}),
    }
    path = tmp_path / "bill.csv"
    path.write_text("\n".join([",".join(row), ",".join(_cell(value) for value in row.values())]) + "\n")
    assert document(tmp_path, "ingest", "focus", str(path), "--role", "reference")["accepted"] == 1
    found = document(tmp_path, "reconcile", "--month", "2026-10")
    assert found["unconverted"] == [{"provider": "anthropic", "currency": "EUR", "amount": "0.10", "rows": 1}]
    assert found["providers"][0]["billed_usd"] is None
    (tmp_path / "bursar.yaml").write_text(
        'currencies: [{currency: EUR, effective_from: 2026-10-01T00:00:00Z, usd: "1.10"}]'
    )
    assert document(tmp_path, "allocate", "--from", "2026-10-01", "--to", "2026-11-01")["changed"] == 1
    found = document(tmp_path, "reconcile", "--month", "2026-10")
    assert found["unconverted"] == []
    assert found["providers"][0]["billed_usd"] == 0.11


def test_a_committed_discount_stands_between_list_and_contract(tmp_path: Path) -> None:
    """Half off the list price: the list value is what it was, contracted and cash are half of it."""
    (tmp_path / "bursar.yaml").write_text(
        'prices: [{provider: anthropic, model: "*", effective_from: 2026-01-01T00:00:00Z, percent_off_list: "50"}]'
    )
    gateway(tmp_path)
    usage = document(tmp_path, "reconcile", "--month", "2026-10")["usage"]
    assert (usage["list_usd"], usage["contracted_usd"], usage["marginal_cash_usd"]) == (0.21, 0.105, 0.105)
    changes = document(tmp_path, "prices", "--changes", "--days", "400")
    assert [(one["at"], one["model"], one["origin"]) for one in changes] == [
        ("2026-01-01T00:00:00Z", "claude-sonnet-4-5", "override")
    ]


def _cell(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def test_a_shared_key_is_split_and_nothing_is_lost(tmp_path: Path) -> None:
    """A key without a team is split by the requests of the teams; what is unallocated is a number."""
    config = """
allocation:
  shared:
    - {name: batch key, scope: {api_key_id: k-shared}, method: requests, among: [search, ads]}
"""
    (tmp_path / "bursar.yaml").write_text(config)
    gateway(tmp_path, calls=20)
    gateway(tmp_path, calls=10, key="k-ads", team="ads")
    gateway(tmp_path, calls=10, key="k-shared", team=None)
    found = document(tmp_path, "reconcile", "--month", "2026-10")
    allocated = {one["team"]: one["allocated"]["contracted_usd"] for one in found["teams"]}
    assert allocated == {"search": 0.28, "ads": 0.14, "(none)": 0.0}
    assert found["unallocated"]["contracted_usd"] == 0.0
    assert found["usage"]["contracted_usd"] == 0.42


def test_rules_say_whose_usage_it_is(tmp_path: Path) -> None:
    """At the door for what comes in; `bursar allocate` for what is stored. Both change nothing the second time."""
    gateway(tmp_path, calls=3, key="k-1", team=None)
    (tmp_path / "bursar.yaml").write_text("allocation: {rules: [{when: {api_key_id: 'k-*'}, team: search}]}")
    gateway(tmp_path, calls=2, key="k-2", team=None)
    span = ("allocate", "--from", "2026-10-01", "--to", "2026-11-01")
    assert document(tmp_path, *span, "--dry-run") == {"changed": 3, "dry_run": True}
    teams = {one["team"]: one["requests"] for one in document(tmp_path, "reconcile", "--month", "2026-10")["teams"]}
    assert teams == {"search": 2, "(none)": 3}
    assert document(tmp_path, *span) == {"changed": 3, "dry_run": False}
    assert document(tmp_path, *span) == {"changed": 0, "dry_run": False}
    teams = {one["team"]: one["requests"] for one in document(tmp_path, "reconcile", "--month", "2026-10")["teams"]}
    assert teams == {"search": 5}
    (tmp_path / "bursar.yaml").write_text("policy: {mode: ask}")
    assert "nothing to apply" in refused(tmp_path, *span)


def test_budgets_come_from_files_and_are_held_against_the_month(tmp_path: Path) -> None:
    """YAML, CSV and LiteLLM: each becomes budgets that reconcile sets against what was spent."""
    gateway(tmp_path)
    (tmp_path / "b.yaml").write_text('budgets: [{name: all, scope: {}, period: month, usd: "0.20"}]')
    (tmp_path / "b.csv").write_text("name,period,usd,team\nsearch,month,1.00,search\n")
    teams = [{"team_id": "t1", "team_alias": "search", "max_budget": 31.0, "budget_duration": "30d"}, {"team_id": "t2"}]
    (tmp_path / "teams.json").write_text(json.dumps(teams))
    for file in ("b.yaml", "b.csv", "teams.json"):
        assert len(document(tmp_path, "budgets", "import", str(tmp_path / file))["imported"]) == 1
    found = document(tmp_path, "reconcile", "--month", "2026-10")
    lines = {one["name"]: (one["budget_usd"], one["spent_usd"], one["left_usd"]) for one in found["budgets"]}
    assert lines == {
        "all": (0.2, 0.21, -0.01),
        "search": (1.0, 0.21, 0.79),
        "litellm team search": (31.0, 0.21, 30.79),
    }
    assert {one["name"] for one in document(tmp_path, "budgets", "list")} == lines.keys()
    assert bursar(tmp_path, "budgets", "remove", "all").exit_code == 0
    assert "no imported budget 'all'" in refused(tmp_path, "budgets", "remove", "all")


def test_charges_in_another_currency_need_a_rate(tmp_path: Path) -> None:
    """Without a dated rate the charge is named and in no sum; with one it is billed in USD."""
    gateway(tmp_path, calls=1)
    (tmp_path / "c.csv").write_text(
        "name,kind,provider,every,starts_at,amount,currency,team\n"
        "seats,seats,anthropic,month,2026-01-01T00:00:00Z,100.00,EUR,search\n"
    )
    document(tmp_path, "charges", "import", str(tmp_path / "c.csv"))
    (charge,) = document(tmp_path, "reconcile", "--month", "2026-10")["charges"]
    assert (charge["billed_usd"], charge["unconverted"]) == (None, "100.00 EUR")
    (tmp_path / "bursar.yaml").write_text(
        'currencies: [{currency: EUR, effective_from: 2026-09-01T00:00:00Z, usd: "1.10"}]'
    )
    (charge,) = document(tmp_path, "reconcile", "--month", "2026-10")["charges"]
    assert (charge["billed_usd"], charge["unconverted"]) == (110.0, None)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("b.yaml", "budgets: [{name: x, period: month, scope: {planet: mars}, usd: '1'}]", "planet"),
        ("b.yaml", "budgets: 3", "expected a list"),
        ("b.csv", "name,period,usd\nx,fortnight,1\n", "period"),
        ("b.csv", "name,period,usd\nx,month,NaN\n", "finite"),
        ("b.json", "[]", "no budget in it"),
        ("b.json", "[", "not JSON"),
        ("b.xml", "", ".yaml or .csv"),
    ],
)
def test_bad_budget_files_are_told(name: str, content: str, says: str, tmp_path: Path) -> None:
    """What, where, what to do; nothing is kept."""
    (tmp_path / name).write_text(content)
    message = refused(tmp_path, "budgets", "import", str(tmp_path / name))
    assert says in message
    assert name in message


def test_a_month_is_a_month(tmp_path: Path) -> None:
    """--month takes a calendar month."""
    assert "write it as 2026-10" in refused(tmp_path, "reconcile", "--month", "October")
