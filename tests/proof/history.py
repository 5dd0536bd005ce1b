"""Fourteen quiet days of a small company, as the lines that its LiteLLM proxy would have logged."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

DAYS = 14
CALLS_OF_A_SESSION = 4
MODELS = {"claude-big": "claude-opus-4-5", "claude-small": "claude-haiku-4-5"}
"""{what apps ask for: what answers}, as in tests/servers/litellm_config/config.yaml."""


class App(NamedTuple):
    """An app as it normally is: one call every so many seconds; by night answers are half as long."""

    team: str
    name: str
    environment: str
    model: str
    seconds: int
    tokens_in: int
    tokens_out: int = 400


class Switch(NamedTuple):
    """From then on an app asks for another model, and for nothing else: a deployment with a wrong line in it."""

    app: str
    model: str
    at: datetime


def write_history(path: Path, apps: dict[str, App], *, until: datetime, switch: Switch | None = None) -> None:
    """Write all calls of the fourteen days that end now; `apps` by their keys."""
    with path.open("w", encoding="utf-8") as out:
        for key, app in apps.items():
            out.writelines(json.dumps(line) + "\n" for line in _calls(key, app, until, switch))


def _calls(key: str, app: App, until: datetime, switch: Switch | None) -> Iterator[dict[str, object]]:
    at, number = until - timedelta(days=DAYS), 0
    while at < until:
        switched = switch is not None and switch.app == app.name and at >= switch.at
        yield _call(key, app, switch.model if switch and switched else app.model, number, at)
        at += timedelta(seconds=app.seconds)
        number += 1


def _call(key: str, app: App, model: str, number: int, at: datetime) -> dict[str, object]:
    name = f"{app.name}-{number}"
    return {
        "id": name,
        "call_type": "acompletion",
        "status": "success",
        "custom_llm_provider": "anthropic",
        "model": MODELS[model],
        "model_group": model,
        "startTime": at.astimezone(UTC).timestamp() - 2,
        "endTime": at.astimezone(UTC).timestamp(),
        "prompt_tokens": app.tokens_in + number % 7 * 10,
        "completion_tokens": app.tokens_out // (1 if 6 <= at.hour < 22 else 2) + number % 5 * 10,
        "metadata": {
            "user_api_key_hash": sha256(key.encode()).hexdigest(),
            "user_api_key_team_alias": app.team,
            "user_api_key_auth_metadata": {"app": app.name, "environment": app.environment},
            "spend_logs_metadata": {
                "session_id": f"{app.name}-s{number // CALLS_OF_A_SESSION}",
                "prompt_hash": sha256(name.encode()).hexdigest()[:16],
                "end_user": f"user-{number % 40}",
            },
        },
    }
