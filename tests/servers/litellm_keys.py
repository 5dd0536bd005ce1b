"""A stand-in for the admin API of a LiteLLM proxy with a database, as 1.106.2 was seen to behave.

An update replaces what it names and null clears it; metadata is replaced as a whole, {} too. A key that does not
exist is 404 for who may change keys, 403 or 401 for who may not. What is stored answers at once; when calls meet it
is not told here (tests/tools/actuators/test_litellm_admin_real.py asks a real proxy).
"""

import copy
import hashlib
from dataclasses import dataclass, field

from tests.servers.json_server import Json, Reply, Request

ADMIN, VIEWER = "sk-admin-of-the-proxy", "sk-viewer-of-the-proxy"
_KEY_FIELDS = frozenset(
    {"rpm_limit", "tpm_limit", "aliases", "max_budget", "budget_duration", "blocked", "metadata", "models"}
)
_TEAM_FIELDS = _KEY_FIELDS - {"aliases"} | {"model_aliases"}


@dataclass
class LiteLLMKeys:
    """Keys by hash and teams by id; `models` are what the proxy serves, and `behind` (group, provider's name) how."""

    keys: dict[str, Json] = field(default_factory=dict)
    teams: dict[str, Json] = field(default_factory=dict)
    models: list[str] = field(default_factory=lambda: ["big", "small"])
    behind: list[tuple[str, str]] = field(default_factory=list)
    changes: int = 0

    def add_team(self, alias: str, **fields: object) -> str:
        """A new team; its id."""
        team_id = f"id-of-{alias}-{len(self.teams)}"
        blank: Json = {
            "metadata": {},
            "models": [],
            "rpm_limit": None,
            "tpm_limit": None,
            "max_budget": None,
            "spend": 0.0,
        }
        more = {"budget_duration": None, "litellm_model_table": None, "updated_at": "0"}
        self.teams[team_id] = {"team_id": team_id, "team_alias": alias, **blank, **more, **fields}
        return team_id

    def add_key(self, alias: str, *, team_id: str | None = None, **fields: object) -> str:
        """A new key; its hash."""
        token = hashlib.sha256(f"{alias}{len(self.keys)}".encode()).hexdigest()
        blank: Json = {"metadata": {}, "models": [], "aliases": {}, "rpm_limit": None, "tpm_limit": None, "spend": 0.0}
        more = {"max_budget": None, "budget_duration": None, "blocked": None, "settings_updated_at": None}
        self.keys[token] = {"token": token, "key_alias": alias, "team_id": team_id, **blank, **more, **fields}
        return token

    def answer(self, request: Request) -> Reply:  # noqa: C901 # one case an endpoint
        """Carry a request out."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in (ADMIN, VIEWER):
            return _error(401, "Authentication Error, Invalid proxy server token passed.")
        match request.method, request.path:
            case "GET", ("key", "info"):
                found = self.keys.get(request.query["key"])
                if found is None:
                    return _error(404, "Key not found in database")
                return Reply(200, {"key": found["token"], "info": {k: v for k, v in found.items() if k != "token"}})
            case "GET", ("key", "list"):
                alias = request.query.get("key_alias")
                keys = [key for key in self.keys.values() if alias is None or key["key_alias"] == alias]
                return Reply(200, {"keys": keys, "total_count": len(keys), "current_page": 1, "total_pages": 1})
            case "GET", ("team", "list"):
                alias = request.query.get("team_alias")
                return Reply(200, [one for one in self.teams.values() if alias is None or one["team_alias"] == alias])
            case "GET", ("team", "info"):
                team = self.teams.get(request.query["team_id"])
                if team is None:
                    return _error(404, "{'message': 'Team not found, passed team id: ...'}")
                return Reply(200, {"team_id": team["team_id"], "team_info": team, "keys": []})
            case "GET", ("v1", "models"):
                return Reply(200, {"data": [{"id": name, "object": "model"} for name in self.models], "object": "list"})
            case "GET", ("model", "info"):
                deployments = [
                    {"model_name": group, "litellm_params": {"model": model}, "model_info": {"id": str(place)}}
                    for place, (group, model) in enumerate(self.behind)
                ]
                return Reply(200, {"data": deployments})
            case "POST", ("key" | "team", "update") if bearer == VIEWER:
                return self.refusal(request)
            case "POST", ("key", "update"):
                return self._update(request.body, "key", self.keys, _KEY_FIELDS)
            case "POST", ("team", "update"):
                return self._update(request.body, "team_id", self.teams, _TEAM_FIELDS)
            case _:
                return Reply(404, {"detail": "Not Found"})

    def refusal(self, request: Request) -> Reply:
        """What a viewer is told."""
        return _error(403, f"user not allowed to access this route, role= proxy_admin_viewer: {request.path}")

    def pretended(self, request: Request) -> Reply:
        """Success, and nothing changes."""
        real = copy.deepcopy((self.keys, self.teams))
        reply = self.answer(request)
        self.keys, self.teams = real
        return reply

    def _update(self, body: Json, id_name: str, records: dict[str, Json], known: frozenset[str]) -> Reply:
        record = records.get(body[id_name])
        if record is None:
            return _error(404, "Key not found." if id_name == "key" else "{'error': 'Team not found'}")
        strange = set(body) - known - {id_name}
        limits = [body[name] for name in ("rpm_limit", "tpm_limit") if name in body]
        if strange or any(limit is not None and not isinstance(limit, int) for limit in limits):
            return Reply(422, {"detail": [{"type": "int_parsing", "loc": ["body", *sorted(strange)], "msg": "wrong"}]})
        self.changes += 1
        stamp = f"2026-11-02T09:00:00.{self.changes:06d}Z"
        fields = {name: value for name, value in body.items() if name != id_name}
        if "model_aliases" in fields:
            fields["litellm_model_table"] = {"id": 1, "model_aliases": fields.pop("model_aliases")}
        record.update(copy.deepcopy(fields), **{"settings_updated_at" if id_name == "key" else "updated_at": stamp})
        if id_name == "key":
            return Reply(200, {"key": record["token"], **record})
        return Reply(200, {"team_id": record["team_id"], "data": record})


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"error": {"message": message, "type": "auth_error", "param": "None", "code": str(status)}})
