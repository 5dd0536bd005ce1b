"""Which key or team of a LiteLLM proxy a target means, and the marks that stand in its metadata."""

import re
from typing import NamedTuple

from store.model.usage import Scope, iso
from tools.actuators.admin_api import AdminApi, Json, Refused, a_list, an_object
from tools.actuators.slots import Mark, when
from tools.http import NoAnswer

MARKS = "bursar_remedies"
"""The key of the metadata where our marks stand: {slot: mark}."""
_HASH = re.compile(r"[0-9a-f]{64}")


class Place(NamedTuple):
    """A key or a team: where it is changed, under which id, and its record."""

    path: str
    id_name: str
    id: str
    record: Json

    @property
    def metadata(self) -> Json:
        """What the operator, and we, have written to it."""
        found = self.record.get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def words(self) -> str:
        """For people."""
        named = self.record.get("key_alias") or self.record.get("team_alias") or self.id[:12]
        return f"{'the key' if self.id_name == 'key' else 'the team'} {named}"


class Places:
    """Finds keys by hash or alias and teams by alias or id."""

    def __init__(self, api: AdminApi) -> None:
        self._api = api

    def of(self, target: Scope) -> Place:
        """The key that the target names, else its team.

        Raises:
            Refused: there is none, there are several, or it is not only the target's traffic that uses it.
            NoAnswer: nobody knows.
        """
        dims = target.as_dict()
        key, team = dims.pop("api_key_id", None), dims.pop("team", None)
        if key is None:
            place = self._team(str(team))
        else:
            place = self._key(key)
            self._belongs(place, team)
        for name in ("app", "environment"):
            if name in dims and not self._always(place, name, dims[name]):
                raise Refused(0, f"{place.words} is not only of {name} {dims[name]}: more would be changed than meant")
        return place

    def team_of(self, place: Place) -> Place | None:
        """A key's team; None for a team, and for a key without one."""
        team_id = place.record.get("team_id")
        return self._team_by_id(team_id) if place.id_name == "key" and isinstance(team_id, str) else None

    def _key(self, key: str) -> Place:
        if _HASH.fullmatch(key):
            answer = an_object(self._api.get("/key/info", key=key), "GET /key/info")
            record = an_object(answer.get("info"), "GET /key/info")
            return Place("/key/update", "key", str(answer.get("key")), record)
        listed = an_object(
            self._api.get("/key/list", key_alias=key, return_full_object="true", size=2), "GET /key/list"
        )
        found = a_list(listed.get("keys"), "GET /key/list")
        if len(found) != 1:
            raise Refused(404, f"{len(found) or 'no'} keys have the alias {key}")
        return Place("/key/update", "key", str(found[0].get("token")), found[0])

    def _team(self, team: str) -> Place:
        found = a_list(self._api.get("/team/list", team_alias=team), "GET /team/list")
        same = [one for one in found if one.get("team_alias") == team]
        if not same:
            return self._team_by_id(team)
        if len(same) != 1:
            raise Refused(0, f"{len(same)} teams have the alias {team}")
        team_id = same[0].get("team_id")
        if not isinstance(team_id, str):
            raise NoAnswer("GET /team/list: the answer is not of the published shape")
        return Place("/team/update", "team_id", team_id, same[0])

    def _team_by_id(self, team_id: str) -> Place:
        answer = an_object(self._api.get("/team/info", team_id=team_id), "GET /team/info")
        return Place("/team/update", "team_id", team_id, an_object(answer.get("team_info"), "GET /team/info"))

    def _belongs(self, place: Place, team: str | None) -> None:
        team_id = place.record.get("team_id")
        if team is None or team_id == team:
            return
        if team_id is None or self._team(team).id != team_id:
            raise Refused(0, f"{place.words} is not a key of team {team}")

    def _always(self, place: Place, name: str, value: str) -> bool:
        """Whether all traffic of the key or team has it: by its own metadata, or a key's by its team's."""
        own = place.metadata.get(name, place.metadata.get("env") if name == "environment" else None)
        team = self.team_of(place) if own is None else None
        return (own if team is None else team.metadata.get(name)) == value


def marks_in(place: Place) -> dict[str, Mark]:
    """Our marks by slot; what a person has made unreadable is no mark."""
    found = place.metadata.get(MARKS)
    marks = {}
    for slot, kept in found.items() if isinstance(found, dict) else ():
        try:
            at, ends = (when(kept[name]) for name in ("at", "ends"))
            marks[slot] = Mark(str(kept["remedy"]), dict(kept["set"]), at, ends, dict(kept["before"]))
        except (KeyError, TypeError, ValueError):
            continue
    return marks


def text_of(mark: Mark) -> Json:
    """A mark as it is kept."""
    return {
        "remedy": mark.remedy,
        "set": mark.value,
        "at": iso(mark.at),
        "ends": iso(mark.ends),
        "before": mark.before,
    }
