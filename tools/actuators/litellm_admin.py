"""A LiteLLM proxy with a database, through its admin API: limits, budgets, aliases and blocks of keys and teams.

Every value is set together with our marker in the key's or team's metadata, in one call. Measured on 1.106: what
/key/update sets is met by the next call at the proxy that was asked; a team's model aliases are stored at once, and a
key that was used recently meets them after 60 s; other proxies without a shared cache need as long. Hence
`propagation_seconds`.
"""

from fnmatch import fnmatchcase
from typing import ClassVar

from store.model.ports import Clock
from store.model.remedy import Action, ActionKind, SetBudget, SetModelAlias, Settings
from store.model.usage import NONE
from tools.actuators.admin_api import AdminApi, Json, Refused
from tools.actuators.litellm_admin_models import Alias, Models
from tools.actuators.litellm_admin_place import MARKS, Place, Places, marks_in, text_of
from tools.actuators.litellm_admin_values import before_of, fields_of, over_budget, value_of
from tools.actuators.settings import LiteLLMAdminSettings
from tools.actuators.slots import Mark, MarkOf, Slot, SlotGateway
from tools.http import NoAnswer

_NOBODY = "0" * 64
_ANY_MODEL = frozenset({"*", "all-proxy-models", "all-team-models"})


class LiteLLMAdmin(SlotGateway):
    """Keys and teams of one LiteLLM proxy, or of several that share one database."""

    name = "litellm_admin"
    handles: ClassVar[frozenset[ActionKind]] = frozenset(
        {"set_rate_limit", "set_budget", "set_model_alias", "block_key"}
    )
    marks = True
    permissions = ("a key of the role proxy_admin, or the master key",)

    def __init__(self, settings: LiteLLMAdminSettings, *, clock: Clock, mark_of: MarkOf = lambda _: None) -> None:
        super().__init__(clock=clock, spread_seconds=settings.propagation_seconds, mark_of=mark_of)
        bearer = {"authorization": f"Bearer {settings.admin_key.get_secret_value()}"}
        self._api = AdminApi(settings.url, headers=bearer)
        self._places = Places(self._api)
        self._models = Models(self._api)

    def objection(self, action: Action) -> str | None:
        """A target is a key, or a team; what else it names must be what that key or team always has."""
        if action.kind not in self.handles:
            return f"{self.name} does not handle {action.kind}"
        dims = action.target.as_dict()
        if isinstance(action, SetModelAlias):
            if action.percent is not None:
                return "LiteLLM cannot send a share of the sessions to another model"
            dims = {name: value for name, value in dims.items() if value != action.from_model or name not in _MODEL}
        known = {"api_key_id", "team", "app", "environment"} if "api_key_id" in dims else {"team", "environment"}
        strange = sorted(set(dims) - known)
        if strange or NONE in dims.values():
            return f"LiteLLM has keys and teams; it cannot tell {', '.join(strange) or 'traffic that has none'}"
        if "api_key_id" not in dims and (action.kind == "block_key" or "team" not in dims):
            return "the target names no key" if action.kind == "block_key" else "the target names no key and no team"
        return None

    def ping(self) -> str:
        """Whether the key may read and change keys and teams: a change of one that does not exist tells."""
        may = []
        try:
            self._api.get("/key/list", size=1)
            for what, path, nobody in (
                ("keys", "/key/update", {"key": _NOBODY}),
                ("teams", "/team/update", {"team_id": "bursar-asks-whether-it-may"}),
            ):
                if not self._may(path, nobody):
                    return f"may read keys and not change {what}: it takes a key of the role proxy_admin"
                may.append(what)
        except (Refused, NoAnswer) as error:
            return str(error)
        return f"ok, may read and change {' and '.join(may)}; no compare-and-set there, so a person always decides"

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    # --- inside ----------------------------------------------------------------------------------------------

    def _may(self, path: str, nobody: Json) -> bool:
        try:
            self._api.send("POST", path, nobody)
        except Refused as error:
            return error.status == 404
        return True

    def _read(self, action: Action) -> Slot:
        place = self._places.of(action.target)
        alias = self._models.alias(action, place) if isinstance(action, SetModelAlias) else None
        theirs = _theirs(action, alias)
        value = value_of(theirs, place.record)
        if isinstance(action, SetModelAlias) and alias is not None:
            value = alias.read(action, value)
        mark = marks_in(place).get(_slot(theirs))
        if mark is not None and value != mark.value and self._clock() >= mark.ends:
            mark = None  # long over, and the value is somebody else's: nothing of ours is left here
        return Slot(value, mark, {"place": place, "alias": alias})

    def _before(self, action: Action, slot: Slot) -> Json:
        alias = slot.raw["alias"]
        return before_of(action, _place(slot).record) if alias is None else alias.kept

    def _write(self, action: Action, value: Settings, mark: Mark | None, slot: Slot) -> None:
        place, alias = _place(slot), slot.raw["alias"]
        if isinstance(action, SetModelAlias):
            value, action = alias.written(action, value), alias.of(action)
        if mark is not None:
            self._check(action, place)
        fields = fields_of(action, value, place.record)
        if mark is None and slot.mark is not None and value_of(action, slot.mark.before) == value:
            fields = {**fields, **{name: slot.mark.before.get(name) for name in fields if name in slot.mark.before}}
        metadata = dict(place.metadata)
        marks = dict(found) if isinstance(found := metadata.get(MARKS), dict) else {}
        if mark is None:
            marks.pop(_slot(action), None)
        else:
            marks[_slot(action)] = text_of(mark)
        metadata.pop(MARKS, None)
        body = {place.id_name: place.id, **fields, "metadata": {**metadata, **({MARKS: marks} if marks else {})}}
        answer = self._api.send("POST", place.path, body)
        if not isinstance(answer, dict) or place.id not in (answer.get("key"), answer.get("team_id")):
            raise NoAnswer(f"POST {place.path}: it was not LiteLLM that answered")

    def _check(self, action: Action, place: Place) -> None:
        """What LiteLLM would take without a word, and what would then break every call of the target.

        Raises:
            Refused: the alias leads to a model that the key may not use or the proxy does not have, or the budget
                is spent already.
        """
        if isinstance(action, SetModelAlias):
            for holder in (place, self._places.team_of(place)):
                if holder is not None and not _may_use(holder.record.get("models"), action.to_model):
                    raise Refused(0, f"{holder.words} may not use {action.to_model}: every call would fail")
            if action.to_model not in self._models.names():
                raise Refused(0, f"the proxy has no model {action.to_model}")
        if isinstance(action, SetBudget) and over_budget(action, place.record):
            raise Refused(0, f"{place.words} has spent that already in its period: this would block it at once")


_MODEL = ("model", "requested_model")


def _may_use(allowed: object, model: str) -> bool:
    """Whether a list of models lets one through; no list, or an empty one, lets all."""
    if not isinstance(allowed, list) or not allowed:
        return True
    return any(name in _ANY_MODEL or fnmatchcase(model, str(name)) for name in allowed)


def _place(slot: Slot) -> Place:
    place = slot.raw["place"]
    assert isinstance(place, Place)
    return place


def _theirs(action: Action, alias: Alias | None) -> Action:
    """The action in the proxy's words."""
    return alias.of(action) if alias is not None and isinstance(action, SetModelAlias) else action


def _slot(action: Action) -> str:
    return f"{action.kind}:{action.from_model}" if isinstance(action, SetModelAlias) else action.kind
