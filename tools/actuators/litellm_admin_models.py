"""The proxy's own names of models: an alias leads between model groups, and a plan may name what a provider calls them.

GET /v1/models lists the names that a call may ask for; GET /model/info the deployments behind them:
{"data": [{"model_name": group, "litellm_params": {"model": "provider/model"}, "model_info": {"base_model": ...}}]}.
"""

import re
from collections import defaultdict
from typing import NamedTuple

from store.model.remedy import SetModelAlias, Settings
from tools.actuators.admin_api import AdminApi, Json, Refused, a_list, an_object
from tools.actuators.litellm_admin_place import Place, marks_in
from tools.http import NoAnswer

_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")
_GROUP = "group"
"""Where a mark keeps the group that an alias was set to."""


class Alias(NamedTuple):
    """An alias in the proxy's words: calls for one group are answered by another."""

    asked: str
    answers: str

    def of(self, action: SetModelAlias) -> SetModelAlias:
        """The action, in the proxy's words."""
        return action.model_copy(update={"from_model": self.asked, "to_model": self.answers})

    def read(self, action: SetModelAlias, held: Settings) -> Settings:
        """What the proxy holds, in the action's words."""
        if not held:
            return {}
        if held["to_model"] == self.answers:
            return action.to
        return {**held, "from_model": action.from_model}

    def written(self, action: SetModelAlias, value: Settings) -> Settings:
        """A value to be set, in the proxy's words."""
        return self.of(action).to if value == action.to else value

    @property
    def kept(self) -> Json:
        """What its mark remembers: the groups of a proxy may change while it stands."""
        return {_GROUP: self.answers}


class Models:
    """Finds the group that a plan means."""

    def __init__(self, api: AdminApi) -> None:
        self._api = api

    def alias(self, action: SetModelAlias, place: Place) -> Alias:
        """The two groups; those of an alias of ours that stands there are read from its mark.

        A name that the proxy knows is taken as it is. So is a name to catch that it does not know, for the traffic
        may ask for it by another alias.

        Raises:
            Refused: no group, or more than one, is answered by the model alone.
            NoAnswer: nobody knows.
        """
        for slot, mark in marks_in(place).items():
            kind, _, asked = slot.partition(":")
            if kind == action.kind and mark.value == action.to:
                return Alias(asked, str(mark.before.get(_GROUP, action.to_model)))
        names = self.names()
        if {action.from_model, action.to_model} <= names:
            return Alias(action.from_model, action.to_model)
        behind = self._behind()
        answers = _named(action.to_model, names, behind)
        if answers is None:
            raise Refused(0, f"the proxy has no model {action.to_model}, and no model group that it alone answers")
        return Alias(_named(action.from_model, names, behind) or action.from_model, answers)

    def names(self) -> set[str]:
        """What a call may ask for."""
        listed = a_list(an_object(self._api.get("/v1/models"), "GET models").get("data"), "GET models")
        return {str(one.get("id")) for one in listed}

    def _behind(self) -> dict[str, list[set[str]]]:
        """{group: what each of its deployments is called}."""
        listed = a_list(an_object(self._api.get("/model/info"), "GET /model/info").get("data"), "GET /model/info")
        found: dict[str, list[set[str]]] = defaultdict(list)
        for one in listed:
            params, more = one.get("litellm_params"), one.get("model_info")
            if not isinstance(one.get("model_name"), str) or not isinstance(params, dict):
                raise NoAnswer("GET /model/info: the answer is not of the published shape")
            base = more.get("base_model") if isinstance(more, dict) else None
            called = {str(name) for name in (params.get("model"), base) if name}
            found[one["model_name"]].append(called | {name.rpartition("/")[2] for name in called})
        return found


def _named(model: str, names: set[str], behind: dict[str, list[set[str]]]) -> str | None:
    """The name by which calls reach a model; None where there is none. A date in a model's name may be left out.

    Raises:
        Refused: several groups are answered by it.
    """
    if model in names:
        return model
    for dated in (True, False):
        found = sorted(group for group, all_ in behind.items() if all(_is(model, called, dated) for called in all_))
        if len(found) > 1:
            raise Refused(0, f"{model} answers the model groups {', '.join(found)}: name the one that is meant")
        if found:
            return found[0]
    return None


def _is(model: str, called: set[str], dated: bool) -> bool:
    return model in called if dated else _DATE.sub("", model) in {_DATE.sub("", name) for name in called}
