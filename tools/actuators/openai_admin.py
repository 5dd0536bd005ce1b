"""An OpenAI organisation's Admin API: limits of a project's model, and a project's spend limit for the month.

A project's model always has limits; ours replaces them and they come back. The API keeps no marker: what is ours is
told by Bursar's ledger. Deleting a key cannot be undone, so it is not offered: block it at the gateway instead.
"""

from typing import ClassVar
from urllib.parse import quote

from store.model.money import NANOS_PER_CENT
from store.model.ports import Clock
from store.model.remedy import Action, ActionKind, SetBudget, SetRateLimit, Settings
from store.model.usage import NONE, Scope
from tools.actuators.admin_api import AdminApi, Json, Refused, a_list, an_object
from tools.actuators.settings import OpenAIAdminSettings
from tools.actuators.slots import Mark, MarkOf, Slot
from tools.actuators.unmarked import UnmarkedGateway
from tools.http import NoAnswer

_LIMITS = (("requests_per_minute", "max_requests_per_1_minute"), ("tokens_per_minute", "max_tokens_per_1_minute"))
_MOST_PAGES = 20


class OpenAIAdmin(UnmarkedGateway):
    """Projects of one organisation."""

    name = "openai_admin"
    handles: ClassVar[frozenset[ActionKind]] = frozenset({"set_rate_limit", "set_budget"})
    permissions = ("an Admin key (sk-admin-...) that may write projects",)

    def __init__(self, settings: OpenAIAdminSettings, *, mark_of: MarkOf, clock: Clock) -> None:
        bearer = {"authorization": f"Bearer {settings.admin_key.get_secret_value()}"}
        api = AdminApi(settings.url, headers=bearer)
        super().__init__(api, clock=clock, spread_seconds=settings.propagation_seconds, mark_of=mark_of)

    def objection(self, action: Action) -> str | None:
        """A project with a model for a limit, a project alone for a budget."""
        dims = _dims(action.target)
        if isinstance(action, SetRateLimit):
            whole = set(dims) == {"project", "model"} and NONE not in dims.values()
            return None if whole else "OpenAI limits a project's model: the target is not one project and model"
        if not isinstance(action, SetBudget):
            return f"{self.name} does not handle {action.kind}"
        if set(dims) != {"project"} or NONE in dims.values():
            return "OpenAI's spend limit is a project's: the target is not one project (tags.project_id)"
        if action.period != "month" or action.max_nanos % NANOS_PER_CENT:
            return "OpenAI's spend limit is for a month, in whole cents"
        return None

    def ping(self) -> str:
        """Whether the key may read; whether it may write shows at the first change."""
        try:
            projects = a_list(
                an_object(self._api.get("/organization/projects", limit=1), "GET projects").get("data"), ""
            )
        except (Refused, NoAnswer) as error:
            return str(error)
        seen = "projects" if projects else "no project"
        return f"ok, may read {seen}; no marker and no probe there, so a person always decides"

    # --- inside ----------------------------------------------------------------------------------------------

    def _held(self, action: Action) -> tuple[Settings, Json]:
        return self._budget(action) if isinstance(action, SetBudget) else self._limit(action)

    def _limit(self, action: Action) -> tuple[Settings, Json]:
        dims = _dims(action.target)
        path = f"{_project(dims)}/rate_limits"
        held = next((one for one in self._listed(path) if one.get("model") == dims["model"]), None)
        if held is None:
            raise Refused(404, f"project {dims['project']} has no limit for {dims['model']}")
        value: Settings = {ours: held.get(theirs) if action.to[ours] is not None else None for ours, theirs in _LIMITS}
        return value, {"path": f"{path}/{quote(str(held.get('id')), safe='')}"}

    def _budget(self, action: SetBudget) -> tuple[Settings, Json]:
        path = f"{_project(_dims(action.target))}/spend_limit"
        try:
            held = an_object(self._api.get(path), "GET spend_limit")
        except Refused as error:
            if error.status != 404:
                raise
            return {}, {"path": path}
        amount = held.get("threshold_amount")
        if not isinstance(amount, int) or held.get("currency") != "USD":
            raise NoAnswer(f"GET {path}: the answer is not of the published shape")
        if amount == 0:
            return {}, {"path": path}
        return {"max_nanos": amount * NANOS_PER_CENT, "period": str(held.get("interval"))}, {"path": path}

    def _write(self, action: Action, value: Settings, mark: Mark | None, slot: Slot) -> None:
        del mark  # there is no place for it
        path = slot.raw["path"]
        if isinstance(action, SetBudget) and not value:
            answer = an_object(self._api.send("DELETE", path), f"DELETE {path}")
        elif isinstance(action, SetBudget):
            cents = int(value.get("max_nanos") or 0) // NANOS_PER_CENT
            limit = {"threshold_amount": cents, "currency": "USD", "interval": value.get("period")}
            answer = an_object(self._api.send("POST", path, limit), f"POST {path}")
        else:
            limits = {theirs: value[ours] for ours, theirs in _LIMITS if value.get(ours) is not None}
            answer = an_object(self._api.send("POST", path, limits), f"POST {path}")
        if not str(answer.get("object")).startswith("project."):
            raise NoAnswer(f"{path}: the answer is not of the published shape")

    def _listed(self, path: str) -> list[Json]:
        found: list[Json] = []
        params: dict[str, str | int] = {"limit": 100}
        for _ in range(_MOST_PAGES):
            page = an_object(self._api.get(path, **params), f"GET {path}")
            found += a_list(page.get("data"), f"GET {path}")
            if page.get("has_more") is not True:
                return found
            params = {"limit": 100, "after": str(page.get("last_id"))}
        raise NoAnswer(f"GET {path}: more than {_MOST_PAGES} pages")


def _project(dims: dict[str, str]) -> str:
    return f"/organization/projects/{quote(dims['project'], safe='')}"


def _dims(target: Scope) -> dict[str, str]:
    """A target in OpenAI's words; what says only that it is OpenAI is left out."""
    words = {"tags.project_id": "project", "model": "model", "requested_model": "model"}
    dims = {name: value for name, value in target.dims if (name, value) != ("provider", "openai")}
    return {words.get(name, name): value for name, value in dims.items()}
