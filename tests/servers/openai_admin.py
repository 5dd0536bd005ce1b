"""A stand-in for OpenAI's Admin API: project rate limits and spend limits, in the shapes of its published reference."""

import copy
from dataclasses import dataclass, field

from tests.servers.json_server import Json, Reply, Request

ADMIN_KEY, READ_KEY = "sk-admin-stand-in", "sk-admin-reader"
PROJECT = "proj_search"
_LIMITS = frozenset(
    {
        *("max_requests_per_1_minute", "max_tokens_per_1_minute", "max_requests_per_1_day"),
        *("max_images_per_1_minute", "max_audio_megabytes_per_1_minute", "batch_1_day_max_input_tokens"),
    }
)


def _limit(number: int, model: str) -> Json:
    limits = {"max_requests_per_1_minute": 500, "max_tokens_per_1_minute": 30_000}
    return {"object": "project.rate_limit", "id": f"rl-{number}", "model": model, **limits}


@dataclass
class OpenAIOrganisation:
    """{project: its limits}, and {project: cents a month}. `page` cuts lists short, as OpenAI may."""

    projects: dict[str, list[Json]] = field(
        default_factory=lambda: {
            PROJECT: [_limit(1, "gpt-5-mini"), _limit(2, "gpt-5"), _limit(3, "gpt-5-nano")],
            "proj_ads": [_limit(4, "gpt-5")],
        }
    )
    spend: dict[str, int] = field(default_factory=dict)
    page: int = 2

    def answer(self, request: Request) -> Reply:
        """Carry a request out."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in (ADMIN_KEY, READ_KEY):
            return _error(401, "Incorrect API key provided", "invalid_api_key")
        if request.method != "GET" and key == READ_KEY:
            return self.refusal(request)
        match request.method, request.path[3:] if request.path[:3] == ("v1", "organization", "projects") else ("none",):
            case "GET", ():
                return self._listed([{"object": "organization.project", "id": name} for name in self.projects], request)
            case _, (name, *_) if name not in self.projects:
                return _error(404, f"No project found with id '{name}'", None)
            case "GET", (name, "rate_limits"):
                return self._listed(self.projects[name], request)
            case "POST", (name, "rate_limits", number):
                held = next((one for one in self.projects[name] if one["id"] == number), None)
                if held is None:
                    return _error(404, "No such rate limit", None)
                if set(request.body) - _LIMITS or any(not isinstance(v, int) for v in request.body.values()):
                    return _error(400, "Unknown parameter", "invalid_request_error")
                held.update(request.body)
                return Reply(200, held)
            case method, (name, "spend_limit"):
                return self._spend(method, name, request.body)
            case _:
                return _error(404, "Unknown request URL", "unknown_url")

    def refusal(self, request: Request) -> Reply:
        """What a key that may only read is told."""
        return _error(403, f"You have insufficient permissions for this operation: {request.path[-1]}", None)

    def pretended(self, request: Request) -> Reply:
        """Success, and nothing changes."""
        real = copy.deepcopy((self.projects, self.spend))
        reply = copy.deepcopy(self.answer(request))
        self.projects, self.spend = real
        return reply

    def _spend(self, method: str, name: str, body: Json) -> Reply:
        if method == "POST":
            whole = isinstance(body.get("threshold_amount"), int) and body["threshold_amount"] >= 1
            if not whole or body.get("currency") != "USD" or body.get("interval") != "month" or len(body) != 3:
                return _error(400, "Invalid spend limit", "invalid_request_error")
            self.spend[name] = body["threshold_amount"]
        if name not in self.spend:
            return _error(404, "No spend limit", None)
        if method == "DELETE":
            del self.spend[name]
            return Reply(200, {"object": "project.spend_limit.deleted", "deleted": True})
        about = {"object": "project.spend_limit", "currency": "USD", "interval": "month"}
        return Reply(200, {**about, "threshold_amount": self.spend[name], "enforcement": {"status": "inactive"}})

    def _listed(self, found: list[Json], request: Request) -> Reply:
        size = min(self.page, int(request.query.get("limit", "100")))
        ids = [one["id"] for one in found]
        first = ids.index(request.query["after"]) + 1 if "after" in request.query else 0
        part = found[first : first + size]
        edges = {"first_id": part[0]["id"], "last_id": part[-1]["id"]} if part else {}
        return Reply(200, {"object": "list", "data": part, "has_more": first + size < len(found), **edges})


def _error(status: int, message: str, code: str | None) -> Reply:
    return Reply(status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}})
