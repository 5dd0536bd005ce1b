"""Who asked: each allocation dimension is filled from the first of an ordered list of places that has it.

A place is a dotted path into the row ("metadata.user_api_key_team_alias") or "tags.NAME", a request tag "NAME:value".
What our guard resolved stands first, in `metadata.bursar`: LiteLLM drops a key of that name that a caller sends.
Request tags and `spend_logs_metadata` are what the caller wrote. `team` and `environment` decide what policy allows,
so they are taken from what the gateway itself says about the key and its team, never from the request.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from store.errors import BadInput
from store.model.usage import NONE
from tools.sources.fields import text

_KEY = "metadata.user_api_key_auth_metadata"
_TEAM = "metadata.user_api_key_team_metadata"
_CALLER = "metadata.spend_logs_metadata"
_GUARD = "metadata.bursar.dims"

TRUSTED = ("metadata.user_api_key_", f"{_GUARD}.")
POLICY_DIMENSIONS = frozenset({"team", "environment"})


def _asked(name: str, *more: str) -> tuple[str, ...]:
    return (f"{_GUARD}.{name}", f"{_KEY}.{name}", f"{_TEAM}.{name}", f"{_CALLER}.{name}", f"tags.{name}", *more)


LITELLM_PLACES: dict[str, tuple[str, ...]] = {
    "team": (f"{_GUARD}.team", "metadata.user_api_key_team_alias", f"{_KEY}.team", "metadata.user_api_key_team_id"),
    "environment": (
        f"{_GUARD}.environment",
        f"{_KEY}.environment",
        f"{_KEY}.env",
        f"{_TEAM}.environment",
        f"{_TEAM}.env",
    ),
    "api_key_id": (f"{_GUARD}.api_key_id", "metadata.user_api_key_hash", "metadata.user_api_key_alias"),
    "app": _asked("app"),
    "route": _asked("route"),
    "release": _asked("release"),
    "job": _asked("job"),
    "prompt_version": _asked("prompt_version"),
    "end_user": (f"{_GUARD}.end_user", "end_user", "metadata.user_api_key_end_user_id", *_asked("end_user")),
    "session_id": (
        f"{_GUARD}.session_id",
        "metadata.bursar.session_id",
        f"{_CALLER}.session_id",
        "session_id",
        "tags.session_id",
    ),
}
"""Places in a LiteLLM StandardLoggingPayload, best first."""


def checked(places: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The default places with the operator's lists in their stead.

    Raises:
        BadInput: an unknown dimension, or a caller's place for a dimension that policy relies on.
    """
    for name, paths in places.items():
        if name not in LITELLM_PLACES:
            raise BadInput(f"dimension places: no such dimension {name!r}; known: {', '.join(LITELLM_PLACES)}")
        forged = [path for path in paths if name in POLICY_DIMENSIONS and not path.startswith(TRUSTED)]
        if forged:
            raise BadInput(
                f"dimension places: {name} cannot come from {forged[0]}, which the caller of the gateway writes; "
                f"use a place under {TRUSTED[0]}*"
            )
    return {**LITELLM_PLACES, **{name: tuple(paths) for name, paths in places.items()}}


def resolve(row: object, tags: Mapping[str, str], places: Sequence[str]) -> str:
    """The value at the first place that has one, or NONE."""
    for path in places:
        found = tags.get(path[5:]) if path.startswith("tags.") else at(row, path)
        if found is not None and (value := text(found)) != NONE:
            return value
    return NONE


def at(row: object, path: str) -> object:
    """What a dotted path leads to in decoded JSON: text, a number, an object; None where it leads nowhere."""
    for name in _steps(path):
        if not isinstance(row, dict):
            return None
        row = row.get(name)
    return row


@lru_cache(maxsize=1_000)
def _steps(path: str) -> tuple[str, ...]:
    # Paths are the configuration's and the source's own, never traffic's; there are a few dozen of them.
    return tuple(path.split("."))


def request_tags(value: object) -> dict[str, str]:
    """Request tags as names and values: "app:search" is app = search, "env" means environment, a bare tag is "true".

    The gateway adds the caller's "User-Agent: ..." as tags; they name no dimension and are left out.
    """
    found: dict[str, str] = {}
    for tag in value if isinstance(value, list) else ():
        if not isinstance(tag, str) or tag.startswith("User-Agent:"):
            continue
        name, colon, content = tag.partition(":")
        name = text(name.strip())
        if name != NONE:
            found["environment" if name == "env" else name] = text(content.strip()) if colon else "true"
    return found
