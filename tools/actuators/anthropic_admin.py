"""An Anthropic organisation's Admin API: request limits of workspaces, and keys made inactive.

A workspace's limit belongs to a group of models: it is met by all models of the group that the target's model is in.
It takes effect within about an hour. The API keeps no marker: what is ours is told by Bursar's ledger.
"""

from typing import ClassVar
from urllib.parse import quote

from store.model.ports import Clock
from store.model.remedy import Action, ActionKind, BlockKey, SetRateLimit, Settings
from store.model.usage import NONE, Scope
from tools.actuators.admin_api import AdminApi, Json, Refused, a_list, an_object
from tools.actuators.settings import AnthropicAdminSettings
from tools.actuators.slots import Mark, MarkOf, Slot
from tools.actuators.unmarked import UnmarkedGateway
from tools.http import NoAnswer

_RPM = "requests_per_minute"
_ORGANISATION = "/v1/organizations"
_MOST_PAGES = 20


class AnthropicAdmin(UnmarkedGateway):
    """Workspaces and API keys of one organisation."""

    name = "anthropic_admin"
    handles: ClassVar[frozenset[ActionKind]] = frozenset({"set_rate_limit", "block_key"})
    permissions = ("an Admin key (sk-ant-admin...) that may write",)

    def __init__(self, settings: AnthropicAdminSettings, *, mark_of: MarkOf, clock: Clock) -> None:
        key = settings.admin_key.get_secret_value()
        api = AdminApi(settings.url, headers={"x-api-key": key, "anthropic-version": "2023-06-01"})
        super().__init__(api, clock=clock, spread_seconds=settings.propagation_seconds, mark_of=mark_of)

    def objection(self, action: Action) -> str | None:
        """A workspace with a model for a limit, a key alone for a block."""
        dims = _dims(action.target)
        if isinstance(action, BlockKey):
            dims.pop("workspace", None)
            return None if set(dims) == {"key"} and NONE not in dims.values() else "the target is not one key"
        if not isinstance(action, SetRateLimit):
            return f"{self.name} does not handle {action.kind}"
        if set(dims) != {"workspace", "model"} or NONE in dims.values():
            return "Anthropic limits a workspace's model: the target is not one workspace (tags.workspace_id) and model"
        if action.tokens_per_minute is not None:
            return "Anthropic limits input and output tokens apart, and not their sum"
        return None

    def ping(self) -> str:
        """Whether the key may read; whether it may write shows at the first change."""
        try:
            found = an_object(self._api.get(f"{_ORGANISATION}/me"), "GET organization")
            self._entries(f"{_ORGANISATION}/rate_limits", limit=1)
        except (Refused, NoAnswer) as error:
            return str(error)
        return (
            f"ok, may read the limits of {found.get('name')}; no marker and no probe there, so a person always decides"
        )

    # --- inside ----------------------------------------------------------------------------------------------

    def _held(self, action: Action) -> tuple[Settings, Json]:
        return self._key(action) if isinstance(action, BlockKey) else self._limit(action)

    def _key(self, action: BlockKey) -> tuple[Settings, Json]:
        path = f"{_ORGANISATION}/api_keys/{quote(_dims(action.target)['key'], safe='')}"
        status = an_object(self._api.get(path), "GET api_keys").get("status")
        if status not in ("active", "inactive"):
            raise Refused(410, f"the key is {status}: it answers nothing, and cannot be brought back")
        return ({"blocked": True} if status == "inactive" else {}), {"path": path}

    def _limit(self, action: Action) -> tuple[Settings, Json]:
        dims = _dims(action.target)
        workspace = quote(dims["workspace"], safe="")
        [entry] = self._entries(f"{_ORGANISATION}/rate_limits", model=dims["model"])[:1] or [{}]
        if not isinstance(entry.get("id"), str):
            raise Refused(404, f"the organisation has no limit for {dims['model']}")
        path = f"{_ORGANISATION}/workspaces/{workspace}/rate_limits"
        held = [one for one in self._entries(path) if one.get("rate_limit_id") == entry["id"]]
        limits = a_list(held[0].get("limits"), "GET rate_limits") if held else []
        own = next((one.get("value") for one in limits if one.get("type") == _RPM), None)
        value: Settings = {} if own is None else {"requests_per_minute": own, "tokens_per_minute": None}
        return value, {"path": f"{path}/{quote(entry['id'], safe='')}"}

    def _write(self, action: Action, value: Settings, mark: Mark | None, slot: Slot) -> None:
        del mark  # there is no place for it
        if isinstance(action, BlockKey):
            wanted = "inactive" if value else "active"
            answer = an_object(self._api.send("POST", slot.raw["path"], {"status": wanted}), "POST api_keys")
        else:
            body = {"limits": [{"type": _RPM, "value": value.get("requests_per_minute")}]}
            answer = an_object(self._api.send("POST", slot.raw["path"], body), "POST rate_limits")
        if answer.get("type") not in ("api_key", "workspace_rate_limit"):
            raise NoAnswer(f"POST {slot.raw['path']}: the answer is not of the published shape")

    def _entries(self, path: str, **params: str | int) -> list[Json]:
        entries: list[Json] = []
        for _ in range(_MOST_PAGES):
            page = an_object(self._api.get(path, **params), f"GET {path}")
            entries += a_list(page.get("data"), f"GET {path}")
            cursor = page.get("next_page")
            if not cursor or params.get("limit") == 1:
                return entries
            params = {**params, "page": str(cursor)}
        raise NoAnswer(f"GET {path}: more than {_MOST_PAGES} pages")


def _dims(target: Scope) -> dict[str, str]:
    """A target in Anthropic's words; what says only that it is Anthropic is left out."""
    words = {"tags.workspace_id": "workspace", "api_key_id": "key", "model": "model", "requested_model": "model"}
    dims = {name: value for name, value in target.dims if (name, value) != ("provider", "anthropic")}
    return {words.get(name, name): value for name, value in dims.items()}
