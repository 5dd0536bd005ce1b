"""A stand-in for Anthropic's Admin API: workspace rate limits and API keys, in the shapes of anthropic-sdk-python 2.12.

Only what is named changes, null clears, an unknown limiter type or group is refused; errors are {"type": "error"}.
"""

import copy
from dataclasses import dataclass, field

from tests.servers.json_server import Json, Reply, Request

ADMIN_KEY, READ_KEY = "sk-ant-admin-stand-in", "sk-ant-admin-reader"
WORKSPACE = "wrkspc_01Search"
_TYPES = frozenset(
    {
        *("fast_itpmca", "fast_otpm", "input_tokens_per_minute", "input_tokens_per_minute_cache_aware"),
        *("output_tokens_per_minute", "requests_per_minute", "tokens_per_day", "tokens_per_minute"),
        "tool_uses_per_second",
    }
)


def _group(number: int, name: str, *models: str) -> Json:
    group = {"type": "model_group", "id": f"rlg_{number}", "display_name": name}
    limits = [{"type": "requests_per_minute", "value": 4000}]
    return {"type": "rate_limit", "id": f"rl_{number}", "group": group, "models": list(models), "limits": limits}


@dataclass
class AnthropicOrganisation:
    """Groups of models with the organisation's limits, {(workspace, entry): {type: value}}, and keys by id."""

    groups: list[Json] = field(
        default_factory=lambda: [
            _group(1, "Claude Opus 4.x", "claude-opus-4-5", "claude-opus-4-6"),
            _group(2, "Claude Haiku 4.x", "claude-haiku-4-5"),
        ]
    )
    limits: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=lambda: {"apikey_01": "active", "apikey_02": "archived"})

    def answer(self, request: Request) -> Reply:  # noqa: C901 # one case an endpoint
        """Carry a request out."""
        if request.headers.get("anthropic-version") != "2023-06-01":
            return _error(400, "invalid_request_error", "anthropic-version: header is required")
        key = request.headers.get("x-api-key")
        if key not in (ADMIN_KEY, READ_KEY):
            return _error(401, "authentication_error", "invalid x-api-key")
        if request.method == "POST" and key == READ_KEY:
            return self.refusal(request)
        match request.method, request.path[2:] if request.path[:2] == ("v1", "organizations") else ("none",):
            case "GET", ("me",):
                return Reply(200, {"id": "org_1", "name": "Acme", "type": "organization"})
            case "GET", ("rate_limits",):
                model = request.query.get("model")
                found = [one for one in self.groups if model is None or model in one["models"]]
                if model is not None and not found:
                    return _error(404, "not_found_error", f"no rate limits for {model}")
                return _page(found, request.query)
            case "GET", ("workspaces", workspace, "rate_limits"):
                held = [self._entry(workspace, one) for one in self.groups if (workspace, one["id"]) in self.limits]
                return _page(held, request.query)
            case "POST", ("workspaces", workspace, "rate_limits", entry):
                return self._limit(workspace, entry, request.body)
            case "GET", ("api_keys", name) if name in self.keys:
                return Reply(200, self._key(name))
            case "POST", ("api_keys", name) if name in self.keys:
                if request.body.get("status") not in ("active", "inactive", "archived"):
                    return _error(400, "invalid_request_error", "status: wrong")
                self.keys[name] = request.body["status"]
                return Reply(200, self._key(name))
            case _:
                return _error(404, "not_found_error", "Not found")

    def refusal(self, request: Request) -> Reply:
        """What a key that may only read is told."""
        return _error(403, "permission_error", f"this key may not write {request.path[-1]}")

    def pretended(self, request: Request) -> Reply:
        """Success, and nothing changes."""
        real = copy.deepcopy((self.limits, self.keys))
        reply = self.answer(request)
        self.limits, self.keys = real
        return reply

    def _limit(self, workspace: str, entry: str, body: Json) -> Reply:
        group = next((one for one in self.groups if one["id"] == entry), None)
        if group is None or not workspace.startswith("wrkspc_"):
            return _error(404, "not_found_error", "Not found")
        limits = body.get("limits")
        if set(body) != {"limits"} or not limits or any(one["type"] not in _TYPES for one in limits):
            return _error(400, "invalid_request_error", "limits: wrong")
        held = self.limits.setdefault((workspace, entry), {})
        for one in limits:
            if one["value"] is None:
                held.pop(one["type"], None)
            else:
                held[one["type"]] = one["value"]
        reply = Reply(200, self._entry(workspace, group))
        if not held:
            del self.limits[workspace, entry]
        return reply

    def _entry(self, workspace: str, group: Json) -> Json:
        held = self.limits.get((workspace, group["id"]), {})
        limits = [
            {"type": name, "value": value, "org_limit": 4000, "source": {"type": "workspace"}}
            for name, value in held.items()
        ]
        about = {"type": "workspace_rate_limit", "workspace_id": workspace, "rate_limit_id": group["id"]}
        return {**about, "group": group["group"], "models": group["models"], "limits": limits}

    def _key(self, name: str) -> Json:
        scope = {"type": "workspace", "workspace_id": WORKSPACE}
        return {"type": "api_key", "id": name, "name": "indexer", "status": self.keys[name], "scope": scope}


def _page(found: list[Json], query: dict[str, str]) -> Reply:
    size, first = int(query.get("limit", "1")), int(query.get("page", "0"))
    last = first + size
    return Reply(200, {"data": found[first:last], "next_page": str(last) if last < len(found) else None})


def _error(status: int, kind: str, message: str) -> Reply:
    return Reply(status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
