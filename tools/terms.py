"""Budgets and charges in the files that people have: YAML, CSV, and what a LiteLLM proxy answers about its budgets.

A CSV column that is no field is a dimension of the scope (team, app, model, tags.x); an empty cell says nothing.
"""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from store.errors import BadInput
from store.model.budget import Budget, Period
from store.model.charge import Charge
from tools.sources.lines import Unreadable, csv_rows

_Noun = TypeVar("_Noun", bound=BaseModel)
_Object = dict[str, Any]

_DURATIONS: dict[str, Period] = {
    **dict.fromkeys(("1d", "24h", "daily"), "day"),
    **dict.fromkeys(("7d", "1w", "weekly"), "week"),
    **dict.fromkeys(("30d", "1mo", "monthly"), "month"),
    **dict.fromkeys(("90d", "3mo"), "quarter"),
    **dict.fromkeys(("365d", "12mo"), "year"),
}
"""LiteLLM's budget_duration as a calendar period: its 30 days are taken for a month."""


def read_budgets(path: Path) -> tuple[list[Budget], list[str]]:
    """The budgets of a .yaml, .csv or LiteLLM .json file, and what was passed over there, in words.

    LiteLLM: the answers of /team/list, /key/list, /customer/list and /provider/budgets; a team or key without a
    budget is no budget.

    Raises:
        BadInput: the file cannot be read, or an entry cannot be right; the message names it.
    """
    if path.suffix == ".json":
        return _litellm(path)
    return _nouns(path, "budgets", Budget), []


def read_charges(path: Path) -> list[Charge]:
    """The charges of a .yaml or .csv file.

    Raises:
        BadInput: the file cannot be read, or an entry cannot be right; the message names it.
    """
    return _nouns(path, "charges", Charge)


def _nouns(path: Path, key: str, noun: type[_Noun]) -> list[_Noun]:
    if path.suffix in (".yaml", ".yml"):
        entries: Iterable[object] = _yaml_entries(path, key)
    elif path.suffix == ".csv":
        entries = _csv_entries(path, noun)
    else:
        raise BadInput(f"{path}: {key} come as .yaml or .csv{' or LiteLLM .json' if key == 'budgets' else ''}")
    found = [_noun(path, f"{key}, entry {number}", entry, noun) for number, entry in enumerate(entries, start=1)]
    if not found:
        raise BadInput(f"{path}: no {key} in it")
    return found


def _noun(path: Path, where: str, entry: object, noun: type[_Noun]) -> _Noun:
    given = {**entry, "origin": path.name} if isinstance(entry, dict) else entry
    try:
        return noun.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path}: {where}: {at + ': ' if at else ''}{first['msg']}") from error
    except ValueError as error:
        raise BadInput(f"{path}: {where}: {error}") from error


def _yaml_entries(path: Path, key: str) -> list[object]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not YAML: {error}") from error
    entries = content.get(key) if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise BadInput(f"{path}: expected a list, or `{key}:` with a list, as in bursar.example.yaml")
    return entries


def _csv_entries(path: Path, noun: type[BaseModel]) -> Iterator[object]:
    fields = {*noun.model_fields, "usd"}
    for row in csv_rows(path):
        if isinstance(row, Unreadable):
            raise BadInput(f"{path}: {row.reason}: {row.raw[:200].decode('utf-8', 'replace')}")
        given = {name: value for name, value in row.items() if value is not None}
        scope = {name: value for name, value in given.items() if name not in fields}
        yield {**{name: value for name, value in given.items() if name in fields}, "scope": scope}


def _litellm(path: Path) -> tuple[list[Budget], list[str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadInput(f"{path}: not JSON: {error}") from error
    budgets: list[Budget] = []
    passed_over: list[str] = []
    for name, scope, usd, duration in _litellm_entries(content):
        if usd is None:
            continue
        period = _DURATIONS.get(str(duration))
        if scope is None:
            passed_over.append(f"{name}: a budget of nobody that records name (LiteLLM users and organisations)")
        elif period is None:
            passed_over.append(f"{name}: budget_duration {duration} is no calendar period; write it as YAML")
        else:
            entry = {"name": name, "scope": scope, "period": period, "usd": usd}
            budgets.append(_noun(path, name, entry, Budget))
    if not budgets and not passed_over:
        raise BadInput(f"{path}: no budget in it; expected what /team/list, /key/list or /provider/budgets answers")
    return budgets, passed_over


def _litellm_entries(content: object) -> Iterator[tuple[str, dict[str, str] | None, object, object]]:
    """(name, scope, USD, duration); USD None: no budget. A scope of None: nobody that usage records name."""
    if isinstance(content, dict) and isinstance(content.get("providers"), dict):
        for provider, entry in content["providers"].items():
            if isinstance(entry, dict):
                yield (
                    f"litellm provider {provider}",
                    {"provider": provider},
                    entry.get("budget_limit"),
                    entry.get("time_period"),
                )
        return
    entries = content
    if isinstance(content, dict):
        entries = next((content[name] for name in ("teams", "keys", "data") if name in content), [content])
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            name, scope = _owner(entry)
            own = entry.get("litellm_budget_table")
            held = own if isinstance(own, dict) and entry.get("max_budget") is None else entry
            yield name, scope, held.get("max_budget"), held.get("budget_duration")


def _owner(entry: _Object) -> tuple[str, dict[str, str] | None]:
    if "token" in entry or "key_alias" in entry or "key_name" in entry:
        key = entry.get("token") or entry.get("key_alias")  # records name the key by its hash, as the token does
        return f"litellm key {entry.get('key_alias') or key}", {"api_key_id": str(key)} if key else None
    if "team_id" in entry:
        team = entry.get("team_alias") or entry["team_id"]
        return f"litellm team {team}", {"team": str(team)}
    if "user_id" in entry and "litellm_budget_table" in entry:
        return f"litellm customer {entry['user_id']}", {"end_user": str(entry["user_id"])}
    return f"litellm budget {entry.get('budget_id') or entry.get('user_id') or '?'}", None
