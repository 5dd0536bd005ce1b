"""Bursar's guard: the one file that an operator mounts into a LiteLLM proxy (`callbacks: [bursar_guard.guard]`).

Before each call it applies the signed rules that Bursar published (swap, limits, caps, prompt cache, block), within
what the operator's ceiling file allows; after each call it reports usage without any prompt text. All talking to
Bursar happens in one background thread. A fault of the guard never reaches a request: it passes unchanged and is
counted. It imports the standard library and what `litellm[proxy]` brings, nothing of Bursar. Manual: README.md.

Amounts are tokens, times are seconds since the epoch (UTC) unless a name says otherwise.
"""

import atexit
import base64
import contextlib
import gzip
import hashlib
import json
import logging
import math
import os
import re
import socket
import sys
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata as distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VERSION = "1.1.0"
KINDS = (
    *("set_model_alias", "set_rate_limit", "set_session_cap", "set_output_cap", "set_context_cap"),
    *("set_reasoning_effort", "set_service_tier", "set_prompt_cache", "block_key"),
)
DIMENSIONS = ("team", "app", "environment", "api_key_id", "end_user", "session_id", "route", "model")
"""What a rule's target may name; the guard can tell these for every request."""

RAW_ROUTE = "pass_through_endpoint"
"""LiteLLM's call type of routes that hand a provider's own body through."""
RETRY_WITHIN = 30.0
"""The same prompt again by the same key within so many seconds counts as another attempt."""
SESSION_IDLE = 3600.0
"""A session that was silent for so long may change its model: its prompt cache is cold anyway."""
PROBE_LIFE = 60.0
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How much a model thinks, as OpenAI's and Anthropic's parameters name it, least first."""
THINKING = {"minimal": 1_024, "low": 4_000, "medium": 10_000, "high": 32_000}
"""Anthropic's thinking budget in tokens that stands for an effort; 1,024 is the least that is taken."""
_LOG = logging.getLogger("bursar.guard")


class Refused(Exception):
    """A rule set, a rule, a probe or a ceiling file that the guard will not take; the message says why."""


Body = Mapping[str, Any]


# --- configuration -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """What the environment says; without url, token and public key the guard only passes calls through."""

    url: str = ""
    token: str = ""
    public_key: bytes = b""
    folder: Path | None = None
    ceiling: Path | None = None
    off: str = ""
    poll_seconds: float = 10.0
    salt: bytes = b""
    spool: int = 10_000

    @property
    def complete(self) -> bool:
        """Whether there is a Bursar to talk to."""
        return bool(self.url and self.token and self.public_key)

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Config":
        """Read BURSAR_URL and BURSAR_GUARD_* (README.md).

        Raises:
            Refused: the public key is not 32 bytes in base64, or the poll time is not a number above zero.
        """
        token = env.get("BURSAR_GUARD_TOKEN", "")
        # One salt per organisation lets hashes of several proxies be compared; the token is a fair stand-in.
        salt = env.get("BURSAR_GUARD_SALT", "") or f"bursar:{token}"
        folder, ceiling = env.get("BURSAR_GUARD_DIR", ""), env.get("BURSAR_GUARD_CEILING", "")
        return cls(
            url=env.get("BURSAR_URL", "").rstrip("/"),
            token=token,
            public_key=_public_key(env.get("BURSAR_GUARD_PUBLIC_KEY", "")),
            folder=Path(folder) if folder else None,
            ceiling=Path(ceiling) if ceiling else None,
            off=env.get("BURSAR_GUARD_OFF", ""),
            poll_seconds=_positive(env.get("BURSAR_GUARD_POLL_SECONDS", "") or "10", "BURSAR_GUARD_POLL_SECONDS"),
            salt=hashlib.blake2b(salt.encode(), digest_size=32).digest(),
            spool=int(_positive(env.get("BURSAR_GUARD_SPOOL", "") or "10000", "BURSAR_GUARD_SPOOL")),
        )


def _public_key(text: str) -> bytes:
    if not text:
        return b""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise Refused("BURSAR_GUARD_PUBLIC_KEY is not an Ed25519 public key (32 bytes in base64)")
    return raw


def _positive(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise Refused(f"{name} is {text!r}; it must be a number above 0")
    return value


# --- rules -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """One action in force for one target: {dimension: value} pairs, all of which a request must have."""

    remedy_id: str
    revision: int
    expires_at: float
    reason: str
    owner: str
    kind: str
    target: tuple[tuple[str, str], ...]
    settings: dict[str, Any]

    @property
    def key(self) -> tuple[object, ...]:
        """Rules with equal keys are the same loan: counters live on when a set is re-issued."""
        return (self.remedy_id, self.revision, self.kind, self.target, self.settings.get("from_model"))

    def number(self, name: str) -> int | None:
        """A whole number of the settings, None where it is not set."""
        value = self.settings.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class RuleSet:
    """A verified set of rules. `refused` names those that the guard cannot read, with the reason."""

    etag: str
    sequence: int
    issued_at: float
    expires_at: float
    rules: tuple[Rule, ...]
    refused: tuple[tuple[str, str], ...] = ()


def read_rule_set(envelope: Mapping[str, Any], public_key: bytes) -> RuleSet:
    """Check the signature of {"payload", "signature"} and read the payload; a rule that is unclear is left out.

    Raises:
        Refused: the signature is not Bursar's, or the payload is not a rule set of version 1.
    """
    payload = envelope.get("payload")
    if not isinstance(payload, str):
        raise Refused("the rules have no payload")
    raw = payload.encode()
    verify_signature(raw, _base64(envelope.get("signature")), public_key)
    try:
        body = json.loads(raw)
        if body["v"] != 1:
            raise Refused(f"the rules are of version {body['v']}, this guard reads version 1")
        rules, refused = [], []
        for row in body["rules"]:
            try:
                rules.append(_rule(row))
            except Refused as error:
                refused.append((str(row.get("remedy_id", "?")), str(error)))
        return RuleSet(
            etag=hashlib.sha256(raw).hexdigest(),
            sequence=int(body["sequence"]),
            issued_at=_moment(body["issued_at"]),
            expires_at=_moment(body["expires_at"]),
            rules=tuple(rules),
            refused=tuple(refused),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"the rules cannot be read: {type(error).__name__} {error}") from error


def verify_signature(raw: bytes, signature: bytes, public_key: bytes) -> None:
    """Raise Refused unless Bursar's key signed these bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, raw)
    except (InvalidSignature, ValueError) as error:
        raise Refused("the signature is not Bursar's") from error


def _rule(row: Mapping[str, Any]) -> Rule:
    action = dict(row["action"])
    kind, target = action.pop("kind"), action.pop("target")
    action.pop("was", None)
    if kind not in KINDS:
        raise Refused(f"this guard does not know the action {kind!r}")
    unknown = [name for name in target if name not in DIMENSIONS]
    if unknown:
        raise Refused(f"this guard cannot tell {', '.join(unknown)} of a request")
    if not target and kind == "block_key":
        raise Refused("a block without a target would block everything")
    _check_settings(kind, action)
    return Rule(
        remedy_id=str(row["remedy_id"]),
        revision=int(row["revision"]),
        expires_at=_moment(row["expires_at"]),
        reason=str(row.get("reason", "")),
        owner=str(row.get("owner") or ""),
        kind=kind,
        target=tuple(sorted((str(name), str(value)) for name, value in target.items())),
        settings=action,
    )


def _check_settings(kind: str, action: Mapping[str, Any]) -> None:
    """Raise Refused where a setting is missing, or is not what its name says."""
    missing = [name for name in _NEEDS[kind] if action.get(name) in (None, "")]
    if len(missing) == len(_NEEDS[kind]) or (missing and kind != "set_rate_limit"):
        raise Refused(f"{kind} lacks {' and '.join(missing)}")
    for name in _LOWEST_KEYS & set(action):
        if action[name] is not None and (type(action[name]) is not int or action[name] < 1):
            raise Refused(f"{name} must be a whole number above 0, not {action[name]!r}")
    for name in {"from_model", "to_model"} & set(action):
        if not isinstance(action[name], str):
            raise Refused(f"{name} must be a name, not {action[name]!r}")
    for name, known in _WORDS.items():
        if name in action and action[name] not in known:
            raise Refused(f"{name} must be one of {', '.join(known)}, not {action[name]!r}")
    percent = action.get("percent")
    if percent is not None and (type(percent) is not int or not 1 <= percent <= 99):
        raise Refused(f"percent must be a whole number from 1 to 99, not {percent!r}")


_NEEDS: dict[str, tuple[str, ...]] = {
    "set_model_alias": ("from_model", "to_model"),
    "set_rate_limit": ("requests_per_minute", "tokens_per_minute"),  # one of them is enough
    "set_session_cap": ("max_calls",),
    "set_output_cap": ("max_tokens",),
    "set_context_cap": ("max_input_tokens",),
    "set_reasoning_effort": ("effort",),
    "set_service_tier": ("tier",),
    "set_prompt_cache": ("ttl",),
    "block_key": ("blocked",),
}
_WORDS: dict[str, tuple[str, ...]] = {
    "ttl": ("5m", "1h", "off"),
    "effort": tuple(THINKING),
    "tier": ("standard",),
}


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise Refused(f"the time {text} has no zone")
    return moment.timestamp()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _base64(value: object, *, url: bool = False) -> bytes:
    text = value if isinstance(value, str) else ""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if url else base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("not base64") from error


# --- the operator's ceiling --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ceiling:
    """What Bursar may do here at most. The default allows nothing: without a ceiling file the guard only watches."""

    kinds: frozenset[str] = frozenset()
    swap_to: frozenset[str] = frozenset()
    scopes: tuple[tuple[tuple[str, str], ...], ...] = ((),)
    never_touch: tuple[tuple[tuple[str, str], ...], ...] = ()
    never_keys: frozenset[str] = frozenset()
    lowest: Mapping[str, int] = field(default_factory=dict)
    lowest_effort: str = "low"
    swap_mid_session: bool = False
    proxies: int = 1
    missing: str = "there is no ceiling file, so the guard only watches (BURSAR_GUARD_CEILING)"

    def objects(self, rule: Rule) -> str | None:
        """Why a rule is not allowed here; None where it is."""
        if self.missing:
            return self.missing
        if rule.kind not in self.kinds:
            return f"the ceiling file does not allow {rule.kind}"
        target = dict(rule.target)
        if rule.kind == "set_model_alias" and rule.settings["to_model"] not in self.swap_to:
            return f"the ceiling file does not allow a swap to {rule.settings['to_model']}"
        if not any(all(target.get(name) == value for name, value in scope) for scope in self.scopes):
            return "the target is outside the scopes of the ceiling file"
        if self.protects(target, target.get("api_key_id", "")):
            return "the ceiling file says that this target is never touched"
        for name, least in self.lowest.items():
            value = rule.number(name)
            if value is not None and value < least:
                return f"{name} {value} is below the {least} of the ceiling file"
        effort = rule.settings.get("effort")
        if effort is not None and EFFORTS.index(effort) < EFFORTS.index(self.lowest_effort):
            return f"effort {effort} is below the {self.lowest_effort} of the ceiling file"
        return None

    def protects(self, dims: Mapping[str, str], alias: str) -> bool:
        """Whether requests like this are never touched, whatever a rule says."""
        if self.never_keys and (dims.get("api_key_id", "") in self.never_keys or alias in self.never_keys):
            return True
        return any(all(dims.get(name) == value for name, value in scope) for scope in self.never_touch)


_CEILING_KEYS = {"kinds", "swap_to", "scopes", "never_touch", "lowest", "lowest_effort", "swap_mid_session", "proxies"}
_LOWEST_KEYS = {"requests_per_minute", "tokens_per_minute", "max_calls", "max_tokens", "max_input_tokens"}


def read_ceiling(text: str) -> Ceiling:
    """Read a ceiling file, YAML or JSON.

    Raises:
        Refused: it is not a mapping, has a key that is not known, or a value of the wrong shape.
    """
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"the ceiling file is not YAML: {error}") from error
    if not isinstance(body, dict):
        raise Refused("the ceiling file is not a mapping")
    if unknown := sorted(set(map(str, body)) - _CEILING_KEYS):
        raise Refused(f"the ceiling file has unknown keys {unknown}; known: {sorted(_CEILING_KEYS)}")
    kinds = frozenset(_texts(body, "kinds"))
    if strange := sorted(kinds - set(KINDS)):
        raise Refused(f"the ceiling file allows unknown kinds {strange}; known: {list(KINDS)}")
    lowest = body.get("lowest") or {}
    if not isinstance(lowest, dict) or not set(lowest) <= _LOWEST_KEYS:
        raise Refused(f"`lowest` of the ceiling file may hold {sorted(_LOWEST_KEYS)}")
    if not all(isinstance(least, int) for least in lowest.values()):
        raise Refused("`lowest` of the ceiling file holds whole numbers")
    lowest_effort, proxies = body.get("lowest_effort", "low"), body.get("proxies", 1)
    if lowest_effort not in THINKING:
        raise Refused(f"`lowest_effort` of the ceiling file is one of {list(THINKING)}")
    if type(proxies) is not int or proxies < 1:
        raise Refused("`proxies` of the ceiling file is how many proxy processes share a limit: a whole number above 0")
    never = body.get("never_touch") or []
    if not isinstance(never, list):
        raise Refused("`never_touch` of the ceiling file is a list of key ids, key aliases or {dimension: value}")
    return Ceiling(
        kinds=kinds,
        swap_to=frozenset(_texts(body, "swap_to")),
        scopes=_scopes(body["scopes"]) if body.get("scopes") is not None else ((),),
        never_touch=_scopes([entry for entry in never if isinstance(entry, dict)]),
        never_keys=frozenset(str(entry) for entry in never if not isinstance(entry, dict)),
        lowest=lowest,
        lowest_effort=lowest_effort,
        proxies=proxies,
        swap_mid_session=body.get("swap_mid_session") is True,
        missing="",
    )


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Refused(f"`{name}` of the ceiling file is a list of names")
    return values


def _scopes(values: object) -> tuple[tuple[tuple[str, str], ...], ...]:
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise Refused("a scope of the ceiling file is a mapping {dimension: value}")
    if strange := sorted({str(name) for scope in values for name in scope} - set(DIMENSIONS)):
        raise Refused(f"the ceiling file names unknown dimensions {strange}; known: {list(DIMENSIONS)}")
    return tuple(tuple(sorted((str(k), str(v)) for k, v in scope.items())) for scope in values)


# --- who asks ----------------------------------------------------------------------------------------------------


def resolve_dims(user: Any, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    """Who asks, by the ordered lists that Bursar's LiteLLM source uses. A dimension that cannot be told is absent.

    `team` and `environment` come from the key and its team alone; what the caller writes never fills them.
    """
    key, team = _mapping(getattr(user, "metadata", None)), _mapping(getattr(user, "team_metadata", None))
    caller = _mapping(metadata.get("spend_logs_metadata"))
    tags = _tags(metadata.get("tags"))

    def asked(name: str) -> str:
        return _first(key.get(name), team.get(name), caller.get(name), tags.get(name))

    found = {
        "team": _first(_at(user, "team_alias"), key.get("team"), _at(user, "team_id")),
        "environment": _first(key.get("environment"), key.get("env"), team.get("environment"), team.get("env")),
        "api_key_id": _first(metadata.get("user_api_key_hash"), _key_hash(user), _at(user, "key_alias")),
        "app": asked("app"),
        "route": asked("route"),
        "release": asked("release"),
        "job": asked("job"),
        "prompt_version": asked("prompt_version"),
        "end_user": _first(data.get("user"), _at(user, "end_user_id"), asked("end_user")),
        "session_id": _session(data, metadata, caller, tags),
        "model": _first(data.get("model")),
    }
    return {name: value for name, value in found.items() if value}


def _session(
    data: Mapping[str, Any], metadata: Mapping[str, Any], caller: Mapping[str, Any], tags: Mapping[str, str]
) -> str:
    found = _first(
        data.get("litellm_session_id"),
        metadata.get("session_id"),
        metadata.get("litellm_session_id"),
        caller.get("session_id"),
        tags.get("session_id"),
    )
    if found:
        return found
    # Claude Code's convention; LiteLLM reads it too, but not on pass-through routes.
    person = _mapping(data.get("metadata")).get("user_id")
    return person.rpartition("_session_")[2][:256] if isinstance(person, str) and "_session_" in person else ""


def _key_hash(user: object) -> str:
    """LiteLLM holds the SHA-256 of a key; one that it left readable (it does not start with sk-) is hashed here."""
    key = _first(_at(user, "api_key"))
    return key if not key or re.fullmatch(r"[0-9a-f]{64}", key) else hashlib.sha256(key.encode()).hexdigest()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _at(user: object, name: str) -> object:
    return getattr(user, name, None)


def _first(*values: object) -> str:
    for value in values:
        if isinstance(value, str | int | float) and not isinstance(value, bool) and (text := str(value).strip()):
            return text[:256]
    return ""


def _tags(value: object) -> dict[str, str]:
    found = {}
    for tag in value if isinstance(value, list) else ():
        name, colon, content = tag.partition(":") if isinstance(tag, str) else ("", "", "")
        if colon and name != "User-Agent":
            found["environment" if name.strip() == "env" else name.strip()] = content.strip()
    return found


# --- hints: what retries and prefixes look like, without any text ------------------------------------------------


@dataclass(frozen=True)
class Hints:
    """Salted hashes and sizes of a request. `prompt_chars` counts the text of system, tools and messages."""

    prompt_hash: str
    prompt_chars: int
    n_tools: int
    prefix_hash: str
    prefix_tokens: int


class _Fingerprint:
    """Hashes texts in order. A long text counts by its length, head and tail, so that images cost no time."""

    EDGE = 32_768

    def __init__(self, salt: bytes) -> None:
        self.hash = hashlib.blake2b(digest_size=8, key=salt)
        self.chars = 0

    def feed(self, value: object) -> None:
        if isinstance(value, str):
            self.chars += len(value)
            if len(value) > 2 * self.EDGE:
                value = f"{len(value)}\0{value[: self.EDGE]}{value[-self.EDGE :]}"
            self.hash.update(value.encode("utf-8", "surrogatepass") + b"\0")
        elif isinstance(value, Mapping):
            for name, part in value.items():
                if name == "cache_control":  # where a breakpoint stands does not change the prompt
                    continue
                self.hash.update(str(name).encode("utf-8", "surrogatepass") + b"\1")
                chars = self.chars
                self.feed(part)
                if name in ("role", "type"):
                    self.chars = chars  # told apart, but no text
        elif isinstance(value, list | tuple):
            for part in value:
                self.feed(part)
        elif value is not None:
            self.hash.update(repr(value).encode() + b"\2")


def hints_of(data: Mapping[str, Any], salt: bytes) -> Hints:
    """Fingerprints of a chat, messages, responses or completion body. A token is taken to be four characters."""
    mark = _Fingerprint(salt)
    tools = data.get("tools")
    messages = data.get("messages")
    head, rest = _split(messages if isinstance(messages, list) else [])
    for part in (tools, data.get("system"), data.get("instructions"), head):
        mark.feed(part)
    prefix_hash, prefix_chars = mark.hash.hexdigest(), mark.chars
    for part in (rest, data.get("input"), data.get("prompt")):
        mark.feed(part)
    return Hints(
        prompt_hash=mark.hash.hexdigest(),
        prompt_chars=mark.chars,
        n_tools=len(tools) if isinstance(tools, list) else 0,
        prefix_hash=prefix_hash if prefix_chars else "",
        prefix_tokens=prefix_chars // 4,
    )


def _split(messages: list[Any]) -> tuple[list[Any], list[Any]]:
    """The leading system messages, and the rest."""
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or message.get("role") not in ("system", "developer"):
            return messages[:index], messages[index:]
    return messages, []


# --- where a prompt's head stopped being what it was ----------------------------------------------------------------

_CLOCK = re.compile(r"\d{4}-\d\d|\d\d?:\d\d|\d{10}|\d{13}|(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|\d\d? [A-Z][a-z]{2}")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|[0-9a-fA-F]{12,}|[A-Za-z0-9_-]{20,}")
_WORD = re.compile(r"[\w:.+/-]*")


class Heads:
    """The last prompt head of each caller, in memory only; says where the next head differs, and what differs there.

    A head is [(kind, text)]: each tool, then system prompt, instructions and leading system messages. Only the offset
    and one word leave: tool_order, tools, clock, id, number or text.
    """

    KEPT = 500
    CHARS = 200_000

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._last: OrderedDict[str, tuple[str, list[str], str]] = OrderedDict()

    def look(self, who: str, prefix_hash: str, data: Body) -> dict[str, Any]:
        """What this head does to the caller's cached prefix: {"prefix_break_at" (tokens), "prefix_break_kind"}, or {}.

        {} where the head is as before, or another prompt altogether. While heads stay equal this costs one comparison.
        """
        last = self._last.get(who)
        if not prefix_hash or (last is not None and last[0] == prefix_hash):
            return {}
        tools, text = _tool_texts(data), _head_text(data)
        if len(text) + sum(map(len, tools)) > self.CHARS:
            return {}
        remember(self._last, who, (prefix_hash, tools, text), limit=self.KEPT)
        return {} if last is None else _difference(last[1], last[2], tools, text)


def _tool_texts(data: Body) -> list[str]:
    tools = data.get("tools")
    return [json.dumps(tool, sort_keys=True, default=str) for tool in tools] if isinstance(tools, list) else []


def _head_text(data: Body) -> str:
    messages = data.get("messages")
    head, _ = _split(messages if isinstance(messages, list) else [])
    parts = (data.get("system"), data.get("instructions"), [one.get("content") for one in head if _mapping(one)])
    return "\n".join(text for part in parts for text in _texts_in(part))


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts_in(value.get("text"))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts_in(part)


def _difference(old_tools: list[str], old: str, tools: list[str], text: str) -> dict[str, Any]:
    if tools != old_tools:
        same = next((i for i, (a, b) in enumerate(zip(old_tools, tools, strict=False)) if a != b), 0)
        chars = sum(map(len, tools[:same]))
        kind = "tool_order" if sorted(tools) == sorted(old_tools) else "tools"
        return {"prefix_break_at": chars // 4, "prefix_break_kind": kind}
    at = _common(old, text)
    rest = _common(old[at:][::-1], text[at:][::-1])
    if old == text or at + rest < min(len(old), len(text)) / 2:
        return {}
    return {
        "prefix_break_at": (sum(map(len, tools)) + at) // 4,
        "prefix_break_kind": _kind(_around(old, at), _around(text, at)),
    }


def _common(one: str, two: str) -> int:
    """How many leading characters are equal; slices are compared, since Python is slow at single characters."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _around(text: str, at: int) -> str:
    """The word at a position, with what stands just before it."""
    start = at
    while start > max(0, at - 40) and not text[start - 1].isspace():
        start -= 1
    found = _WORD.match(text, at)
    return text[start : max(found.end() if found else at, at + 1)]


def _kind(old: str, new: str) -> str:
    for kind, pattern in (("clock", _CLOCK), ("id", _ID)):
        if pattern.search(old) and pattern.search(new):
            return kind
    digits = any(c.isdigit() for c in old) and any(c.isdigit() for c in new)
    return "number" if digits else "text"


# --- changes: each returns the keys of the request body to replace, never touching what it was given ---------------


def cap_output(data: Body, cap: int) -> dict[str, Any]:
    """At most `cap` output tokens. {} where the request asks for no more, or thinks too long to be capped so low."""
    names = [n for n in ("max_completion_tokens", "max_tokens", "max_output_tokens") if isinstance(data.get(n), int)]
    above = {name: cap for name in names if data[name] > cap}
    if names and not above:
        return {}
    changed: dict[str, Any] = above or {"max_output_tokens" if "input" in data else "max_tokens": cap}
    thinking = data.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    if isinstance(budget, int) and budget >= cap:
        if cap <= 1024:  # the provider's least thinking budget, which must stay below the output limit
            return {}
        changed["thinking"] = {**_mapping(thinking), "budget_tokens": cap - 1}
    return changed


def lower_effort(data: Body, effort: str) -> dict[str, Any]:
    """At most this much thinking: OpenAI's effort, Anthropic's effort or thinking budget. {} where no more is asked.

    A request that says nothing of thinking is left alone: not every model takes the parameter.
    """
    changed: dict[str, Any] = {}
    if _more(data.get("reasoning_effort"), effort):
        changed["reasoning_effort"] = effort
    for name in ("reasoning", "output_config"):
        if _more(_mapping(data.get(name)).get("effort"), effort):
            changed[name] = {**_mapping(data[name]), "effort": effort}
    thinking = _mapping(data.get("thinking"))
    budget = thinking.get("budget_tokens")
    if isinstance(budget, int) and budget > THINKING[effort]:
        changed["thinking"] = {**thinking, "budget_tokens": THINKING[effort]}
    return changed


def _more(asked: object, effort: str) -> bool:
    return isinstance(asked, str) and asked in EFFORTS and EFFORTS.index(asked) > EFFORTS.index(effort)


def standard_tier(data: Body) -> dict[str, Any]:
    """Without OpenAI's priority tier and Anthropic's fast mode; {} where neither is asked for."""
    changed: dict[str, Any] = {"service_tier": "default"} if data.get("service_tier") == "priority" else {}
    if data.get("speed") == "fast":
        changed["speed"] = None
    return changed


def set_cache(data: Body, ttl: str) -> dict[str, Any]:
    """A cache breakpoint behind the system prompt ("5m", "1h"), or none anywhere ("off").

    A caller who sets breakpoints keeps them where they are; they get this lifetime. Works on /v1/messages and
    /chat/completions bodies.
    """
    if ttl == "off":
        return _without_breakpoints(data)
    if "cache_control" in data or any(_marked(data.get(name)) for name in ("system", "tools", "messages")):
        return _with_lifetime(data, ttl)
    control = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
    system, messages, tools = data.get("system"), data.get("messages"), data.get("tools")
    if system:
        return {"system": _with_breakpoint(system, control)}
    if isinstance(messages, list):
        for index in range(len(messages) - 1, -1, -1):
            message = messages[index]
            if isinstance(message, Mapping) and message.get("role") == "system" and message.get("content"):
                marked = {**message, "content": _with_breakpoint(message["content"], control)}
                return {"messages": [*messages[:index], marked, *messages[index + 1 :]]}
    if isinstance(tools, list) and tools and isinstance(tools[-1], Mapping):
        return {"tools": [*tools[:-1], {**tools[-1], "cache_control": control}]}
    return {}


def _with_breakpoint(content: object, control: dict[str, str]) -> object:
    if isinstance(content, str):
        return [{"type": "text", "text": content, "cache_control": control}]
    if isinstance(content, list) and content and isinstance(content[-1], Mapping):
        return [*content[:-1], {**content[-1], "cache_control": control}]
    return content


def _marked(value: object) -> bool:
    if isinstance(value, Mapping):
        return "cache_control" in value or any(_marked(value.get(n)) for n in ("content", "function"))
    return isinstance(value, list) and any(_marked(part) for part in value)


def _with_lifetime(data: Body, ttl: str) -> dict[str, Any]:
    names = [name for name in ("system", "tools", "messages") if _marked(data.get(name))]
    changed: dict[str, Any] = {name: _relived(data[name], ttl) for name in names}
    if isinstance(data.get("cache_control"), Mapping):
        changed["cache_control"] = _lifetime(data["cache_control"], ttl)
    return {name: value for name, value in changed.items() if value != data[name]}


def _relived(value: Any, ttl: str) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _lifetime(part, ttl)
            if name == "cache_control"
            else _relived(part, ttl)
            if name in ("content", "function")
            else part
            for name, part in value.items()
        }
    return [_relived(part, ttl) for part in value] if isinstance(value, list) else value


def _lifetime(control: Any, ttl: str) -> Any:
    if not isinstance(control, Mapping):
        return control
    rest = {name: part for name, part in control.items() if name != "ttl"}
    return rest if ttl == "5m" else {**rest, "ttl": ttl}


def _without_breakpoints(data: Body) -> dict[str, Any]:
    changed: dict[str, Any] = {n: _stripped(data[n]) for n in ("system", "tools", "messages") if _marked(data.get(n))}
    changed.update({name: None for name in ("cache_control", "cache_control_injection_points") if name in data})
    return changed


def _stripped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _stripped(part) if name in ("content", "function") else part
            for name, part in value.items()
            if name != "cache_control"
        }
    return [_stripped(part) for part in value] if isinstance(value, list) else value


def needs_of(data: Body, prompt_chars: int) -> dict[str, int | bool]:
    """What a model must be able to do to answer this request; tokens are estimated high (three characters each)."""
    kinds = set(_block_kinds(data.get("messages"))) | set(_block_kinds(data.get("input")))
    asked = [
        data[n] for n in ("max_tokens", "max_completion_tokens", "max_output_tokens") if isinstance(data.get(n), int)
    ]
    return {
        "input": prompt_chars // 3,
        "output": max(asked, default=0),
        "supports_function_calling": bool(data.get("tools") or data.get("functions")),
        "supports_vision": bool(kinds & {"image", "image_url", "input_image"}),
        "supports_audio_input": "input_audio" in kinds,
        "supports_pdf_input": bool(kinds & {"document", "file", "input_file"}),
        "supports_reasoning": bool(data.get("thinking") or data.get("reasoning_effort") or data.get("reasoning")),
        "supports_response_schema": _mapping(data.get("response_format")).get("type") == "json_schema",
    }


def _block_kinds(value: object) -> Iterator[str]:
    for part in value if isinstance(value, list) else ():
        if isinstance(part, Mapping):
            yield str(part.get("type", ""))
            yield from _block_kinds(part.get("content"))


def misfit(needs: Mapping[str, int | bool], info: Mapping[str, Any] | None) -> str | None:
    """Why a model that LiteLLM describes so cannot answer the request; None where it can."""
    if info is None:
        return "LiteLLM does not know the model"
    room, longest = info.get("max_input_tokens"), info.get("max_output_tokens")
    if needs["input"] and (not isinstance(room, int | float) or needs["input"] + needs["output"] > room):
        return f"the request may not fit into {room} tokens"
    if isinstance(longest, int | float) and needs["output"] > longest:
        return f"it answers at most {longest:.0f} tokens"
    lacking = [name for name, wanted in needs.items() if wanted is True and not info.get(name)]
    return f"it lacks {', '.join(lacking)}" if lacking else None


# --- the decision ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One request as the rules see it; `alias` is the key's name, `tokens` an estimate of the prompt.

    `lot` draws a canary's share: calls of one session have one lot, and so one model. Without a lot (a probe) the call
    is in every share.
    """

    dims: Mapping[str, str]
    now: float
    alias: str = ""
    tokens: int = 0
    lot: str = ""

    @property
    def model(self) -> str:
        """The requested model."""
        return self.dims.get("model", "")


@dataclass
class Decision:
    """What becomes of a call: refused by a rule, changed by at most one of each kind, or let through.

    `rules` are all remedies whose target it meets, `reserved` the rules that counted it.
    """

    refused_by: Rule | None = None
    retry_after: int = 0
    changes: dict[str, Rule] = field(default_factory=dict)
    limit: dict[str, Any] | None = None
    rules: list[str] = field(default_factory=list)
    reserved: list["Live"] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """One of ok, change, refuse."""
        return "refuse" if self.refused_by else "change" if self.changes else "ok"

    def setting(self, kind: str, name: str) -> Any:
        """What the change of a kind sets; None where there is none."""
        rule = self.changes.get(kind)
        return rule.settings.get(name) if rule else None

    def as_dict(self) -> dict[str, Any]:
        """As a probe reports it."""
        return {
            "verdict": self.verdict,
            "model": self.setting("set_model_alias", "to_model"),
            "max_tokens": self.setting("set_output_cap", "max_tokens"),
            "cache": self.setting("set_prompt_cache", "ttl"),
            "effort": self.setting("set_reasoning_effort", "effort"),
            "tier": self.setting("set_service_tier", "tier"),
            "limit": self.limit,
            "rules": self.rules,
        }


def remember(kept: OrderedDict[Any, Any], key: object, value: object, limit: int = 20_000) -> None:
    """Keep the latest `limit` entries; the one that was used least recently goes first."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > limit:
        kept.popitem(last=False)


class Live:
    """A rule in force with its counters, which start when the rule takes effect in this process."""

    def __init__(self, rule: Rule, since: float) -> None:
        """`since`: when this process first had the rule."""
        self.rule = rule
        self.since = since
        self.part = (0, 1)
        """Which of how many equal parts of a rate limit this process has; all parts together are the limit."""
        self.minute = -1
        self.requests = 0
        self.tokens = 0
        self.sessions: OrderedDict[str, int] = OrderedDict()

    def meets(self, call: Call) -> bool:
        """Whether the call is in the target and the rule has not expired."""
        dims = call.dims
        return call.now < self.rule.expires_at and all(dims.get(name) == value for name, value in self.rule.target)

    def refuses(self, call: Call) -> bool:
        """Whether a block, a session cap or a rate limit stands in the way; nothing is counted."""
        rule = self.rule
        if rule.kind == "block_key":
            return rule.settings.get("blocked") is True
        if rule.kind == "set_session_cap":
            cap, session = rule.number("max_calls"), call.dims.get("session_id")
            return cap is not None and session is not None and self.sessions.get(session, 0) >= cap
        if rule.kind == "set_rate_limit":
            requests, tokens = self._used(call.now)
            most, most_tokens = self._mine("requests_per_minute"), self._mine("tokens_per_minute")
            full = most is not None and requests >= most
            return full or (most_tokens is not None and tokens + call.tokens > most_tokens)
        if rule.kind == "set_context_cap":
            longest = rule.number("max_input_tokens")
            return longest is not None and call.tokens > longest
        return False

    def count(self, call: Call) -> None:
        """Count a call that was let through."""
        session = call.dims.get("session_id")
        if self.rule.kind == "set_session_cap" and session is not None:
            remember(self.sessions, session, self.sessions.get(session, 0) + 1)
        elif self.rule.kind == "set_rate_limit":
            self.requests, self.tokens = self._used(call.now)
            self.minute = int(call.now // 60)
            self.requests += 1
            self.tokens += call.tokens

    def settle(self, call: Call, tokens: int) -> None:
        """Replace the estimate of a call in this minute by what it really used."""
        if self.rule.kind == "set_rate_limit" and int(call.now // 60) == self.minute:
            self.tokens = max(0, self.tokens + tokens - call.tokens)

    def _mine(self, name: str) -> int | None:
        whole, (place, of) = self.rule.number(name), self.part
        return None if whole is None else whole // of + (place < whole % of)

    def _used(self, now: float) -> tuple[int, int]:
        return (self.requests, self.tokens) if int(now // 60) == self.minute else (0, 0)


Fits = Callable[[str], str | None]
"""Why a model cannot answer the request at hand; None where it can."""


def decide(
    call: Call,
    live: tuple[Live, ...],
    *,
    fits: Fits,
    session_began: float | None = None,
    swap_mid_session: bool = False,
    count: bool = True,
) -> Decision:
    """Refuse, or let through with changes. The most specific rule of a kind wins; a refused call counts nowhere.

    `live` must be in order of specificity. `session_began`: when this process first saw the call's session, if it is
    still warm. With `count` false (a probe) no counter moves.
    """
    met = [one for one in live if one.meets(call)]
    decision = Decision(rules=list(dict.fromkeys(one.rule.remedy_id for one in met)))
    if not met:
        return decision
    decision.limit = _limit(met)
    for one in met:
        if one.refuses(call):
            decision.refused_by = one.rule
            decision.retry_after = max(1, math.ceil(60 - call.now % 60)) if one.rule.kind == "set_rate_limit" else 0
            return decision
    for one in met:
        if count:
            one.count(call)
            decision.reserved.append(one)
        mid_session = not swap_mid_session and session_began is not None and session_began < one.since
        _weigh(one.rule, decision.changes, call, fits, stays=mid_session)
    return decision


def _weigh(rule: Rule, changes: dict[str, Rule], call: Call, fits: Fits, *, stays: bool) -> None:
    """Add a rule to the changes: the first of its kind that applies, of output caps and efforts the lowest."""
    before = changes.get(rule.kind)
    if rule.kind == "set_output_cap":
        if before is None or rule.settings["max_tokens"] < before.settings["max_tokens"]:
            changes[rule.kind] = rule
    elif rule.kind == "set_reasoning_effort":
        if before is None or EFFORTS.index(rule.settings["effort"]) < EFFORTS.index(before.settings["effort"]):
            changes[rule.kind] = rule
    elif before is None and rule.kind in ("set_prompt_cache", "set_service_tier"):
        changes[rule.kind] = rule
    elif before is None and rule.kind == "set_model_alias":
        asked = rule.settings["from_model"] == call.model
        if asked and not stays and _drawn(rule, call.lot) and fits(rule.settings["to_model"]) is None:
            changes[rule.kind] = rule


def _drawn(rule: Rule, lot: str) -> bool:
    """Whether a canary's share takes this lot; the same lot is always drawn alike, in every process."""
    percent = rule.number("percent")
    if percent is None or not lot:
        return True
    drawn = hashlib.blake2b(f"{rule.remedy_id}\0{lot}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(drawn, "big") % 100 < percent


def _limit(met: list[Live]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for one in met:
        for name in ("requests_per_minute", "tokens_per_minute", "max_calls", "max_input_tokens"):
            value = one.rule.number(name)
            if value is not None and name not in found:
                found[name] = value
                found.setdefault("remedy_id", one.rule.remedy_id)
    return found or None


# --- what a client is told ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stop:
    """An answer in place of the model's. LiteLLM shapes it as OpenAI or Anthropic do, by route."""

    status: int
    type: str
    message: str
    headers: dict[str, str]
    fields: dict[str, Any]


_SAYS = {
    "set_rate_limit": "Bursar limits how often this may be called",
    "set_session_cap": "Bursar ended this session: it made as many calls as it may",
    "set_context_cap": "Bursar limits how long a prompt may be here; this one is longer",
    "block_key": "Bursar blocked these calls",
}


def stop_of(decision: Decision) -> Stop:
    """The refusal of a decision: 429 with Retry-After for a rate limit, a terminal 403 for a cap and a block.

    The official clients retry 408, 409, 429 and 5xx, and obey `x-should-retry`; so a 403 ends there.
    """
    rule = decision.refused_by
    assert rule is not None
    until, limited = _iso(rule.expires_at), rule.kind == "set_rate_limit"
    parts = [f"{_SAYS[rule.kind]} (remedy {rule.remedy_id}).", f"Why: {rule.reason or 'not given'}."]
    parts.append(
        f"Try again in {decision.retry_after} s; the limit stands until {until}." if limited else f"Until {until}."
    )
    parts.append(f"Owner: {rule.owner}." if rule.owner else "")
    fields = {
        "remedy_id": rule.remedy_id,
        "kind": rule.kind,
        "reason": rule.reason,
        "until": until,
        "owner": rule.owner,
    }
    headers = {"x-bursar-remedy": header_text(rule.remedy_id)}
    headers.update({"retry-after": str(decision.retry_after)} if limited else {"x-should-retry": "false"})
    return Stop(
        status=429 if limited else 403,
        type="rate_limit_error" if limited else "permission_error",
        message=" ".join(part for part in parts if part).replace("..", "."),
        headers=headers,
        fields={"bursar": {**fields, "terminal": not limited}},
    )


def header_text(text: str) -> str:
    """Text as a header may carry it."""
    return re.sub(r"[^A-Za-z0-9_.:/=,; -]", "_", text)[:200]


# --- usage -------------------------------------------------------------------------------------------------------

_TOP = (
    *("id", "litellm_call_id", "trace_id", "session_id", "call_type", "cache_hit", "stream", "status", "end_user"),
    *("startTime", "endTime", "completionStartTime", "model", "model_id", "model_group", "custom_llm_provider"),
    *("response_cost", "cost_breakdown", "total_tokens", "prompt_tokens", "completion_tokens", "request_tags"),
)
_WHO = (
    *("hash", "alias", "team_id", "team_alias", "org_id", "user_id", "end_user_id", "auth_metadata", "team_metadata"),
    "request_route",
)
_PARAMETERS = ("service_tier", "speed", "reasoning_effort", "max_tokens", "max_completion_tokens", "stream")


def usage_record(payload: Mapping[str, Any], note: Mapping[str, Any]) -> dict[str, Any]:
    """LiteLLM's StandardLoggingPayload cut to what usage needs: no prompt, answer, tool, header, address or error text.

    `note` goes to metadata.bursar, and to metadata.spend_logs_metadata.bursar where Bursar's source looks first.
    """
    metadata = _mapping(payload.get("metadata"))
    kept = {f"user_api_key_{name}": metadata.get(f"user_api_key_{name}") for name in _WHO}
    for name in ("user_api_key_auth_metadata", "user_api_key_team_metadata"):
        kept[name] = _plain(metadata.get(name))
    kept["usage_object"] = metadata.get("usage_object")
    kept["spend_logs_metadata"] = {**_plain(metadata.get("spend_logs_metadata")), "bursar": note}
    kept["bursar"] = note
    error = _mapping(payload.get("error_information"))
    parameters = _mapping(payload.get("model_parameters"))
    return {
        **{name: payload.get(name) for name in _TOP},
        "model_parameters": {name: parameters[name] for name in _PARAMETERS if name in parameters},
        "error_information": {name: error.get(name) for name in ("error_code", "error_class")},
        "metadata": kept,
    }


def _plain(value: object) -> dict[str, Any]:
    """Labels of a key or a caller; anything longer than a label may be text, and stays here."""
    return {
        name: part
        for name, part in _mapping(value).items()
        if isinstance(part, bool | int | float) or (isinstance(part, str) and len(part) <= 256)
    }


def _answer_facts(payload: Mapping[str, Any]) -> dict[str, Any]:
    response = _mapping(payload.get("response"))
    choices = response.get("choices")
    first = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    content = _mapping(first.get("message")).get("content")
    chars = len(content) if isinstance(content, str) else 0
    reason = _first(first.get("finish_reason"), response.get("stop_reason"))
    return {"completion_chars": chars, **({"finish_reason": reason} if reason else {})}


class Spool:
    """Records that wait to be sent: bounded, the newest are dropped and counted when it is full."""

    def __init__(self, limit: int) -> None:
        """`limit`: how many records may wait."""
        self._waiting: deque[dict[str, Any]] = deque()
        self._limit = limit
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, record: dict[str, Any]) -> None:
        """Add a record, or count it as dropped."""
        with self._lock:
            if len(self._waiting) >= self._limit:
                self.dropped += 1
            else:
                self._waiting.append(record)

    def take(self, most: int) -> list[dict[str, Any]]:
        """The oldest records; they leave the spool."""
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def give_back(self, records: list[dict[str, Any]]) -> None:
        """Put records that could not be sent in front again."""
        with self._lock:
            self._waiting.extendleft(reversed(records))

    def drop(self, records: list[dict[str, Any]]) -> None:
        """Count records that nobody will take."""
        with self._lock:
            self.dropped += len(records)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)


# --- what is in force here ---------------------------------------------------------------------------------------


class Models:
    """What LiteLLM's router and model map say of the model names that this proxy serves."""

    KEEP_SECONDS = 300.0

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` says how old an answer is."""
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, Any] | None]] = {}

    def served(self, name: str) -> bool | None:
        """Whether the router has the model; None while there is no router yet."""
        router = self._router()
        return None if router is None else bool(router.get_model_list(model_name=name))

    def info(self, name: str) -> dict[str, Any] | None:
        """Limits and abilities that every deployment of the model has; None where LiteLLM does not know one of them."""
        now = self._clock()
        at, found = self._known.get(name, (-math.inf, None))
        if now - at > self.KEEP_SECONDS:
            found = self._look(name)
            self._known[name] = (now, found)
        return found

    def _look(self, name: str) -> dict[str, Any] | None:
        router, litellm = self._router(), sys.modules.get("litellm")
        if router is None or litellm is None:
            return None
        whole: dict[str, Any] | None = None
        for deployment in router.get_model_list(model_name=name) or ():
            try:
                info = dict(litellm.get_model_info(deployment["litellm_params"]["model"]))
            except Exception:  # LiteLLM raises a plain Exception for a model that is not in its map
                return None
            own = {k: v for k, v in _mapping(deployment.get("model_info")).items() if v is not None}
            info.update(own)
            whole = info if whole is None else _least(whole, info)
        return whole

    @staticmethod
    def _router() -> Any:
        return getattr(sys.modules.get("litellm.proxy.proxy_server"), "llm_router", None)


def _least(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    limits = {
        name: min(one[name], two[name])
        for name in ("max_input_tokens", "max_output_tokens")
        if isinstance(one.get(name), int | float) and isinstance(two.get(name), int | float)
    }
    return {**limits, **{n: bool(one[n] and two.get(n)) for n in one if n.startswith("supports_")}}


class RuleBook:
    """The rules in force: verified, within the ceiling, not expired, kept on disk for the time that Bursar is away."""

    def __init__(self, config: Config, *, clock: Callable[[], float], models: Models) -> None:
        """Start with what is on disk, if Bursar signed it and it has not expired."""
        self._config, self._clock, self._models = config, clock, models
        self._set: RuleSet | None = None
        self._live: tuple[Live, ...] = ()
        self._switch = (-math.inf, False)
        self.ceiling = Ceiling()
        self._place = (0, 1)
        self._ceiling_stamp = (0, 0, 0)
        self.refused: list[dict[str, str]] = []
        self.refresh()
        self._load()

    def accept(self, envelope: Mapping[str, Any], *, keep: bool = True) -> None:
        """Take a rule set in the place of the one in force, and keep it on disk.

        Raises:
            Refused: not signed by Bursar, expired, or older than one that was seen before.
        """
        offered = read_rule_set(envelope, self._config.public_key)
        seen = self._set
        if seen is not None and (offered.sequence, offered.issued_at) < (seen.sequence, seen.issued_at):
            raise Refused(f"sequence {offered.sequence} is older than {seen.sequence}, which was seen before")
        if offered.expires_at <= self._clock():
            if not keep:
                self._set = offered  # nothing of it is in force, yet nothing older may come after it
            raise Refused(f"the rules expired at {_iso(offered.expires_at)}")
        self._set = offered
        self.refresh()
        if keep:
            self._save(envelope)

    def live(self) -> tuple[Live, ...]:
        """The rules in force now, the most specific first; none when switched off or expired."""
        return self._live if self.in_force() is not None and not self.is_off() else ()

    def in_force(self) -> RuleSet | None:
        """The rule set in force; None where there is none or it has expired."""
        return self._set if self._set is not None and self._clock() < self._set.expires_at else None

    def is_off(self) -> bool:
        """The local off switch: a word, or a file that exists; looked at once a second."""
        at, off = self._switch
        if self._clock() - at >= 1 or self._clock() < at:
            word = self._config.off
            off = word.lower() in ("1", "true", "yes", "on") or (bool(word) and Path(word).exists())
            self._switch = (self._clock(), off)
        return off

    def refresh(self) -> None:
        """Read the ceiling file again and sort the rules into those in force and those refused here."""
        self.ceiling = self._read_ceiling()
        known = {one.rule.key: one for one in self._live}
        refused, live = [], []
        for rule in self._set.rules if self._set else ():
            why = self.ceiling.objects(rule) or self._unserved(rule)
            if why is not None:
                refused.append({"remedy_id": rule.remedy_id, "why": why})
                continue
            one = known.get(rule.key)
            if one is None or one.rule.settings != rule.settings:
                one = Live(rule, self._clock())
            one.rule = rule
            live.append(one)
        refused.extend({"remedy_id": name, "why": why} for name, why in (self._set.refused if self._set else ()))
        self._live = tuple(sorted(live, key=lambda one: -len(one.rule.target)))
        self.refused = refused
        self._divide()

    def share(self, place: int, of: int) -> None:
        """Bursar says how many proxies are live, and which of them this is; limits are divided among them."""
        if 0 <= place < of:
            self._place = (place, of)
            self._divide()

    @property
    def part(self) -> tuple[int, int]:
        """Which of how many parts of each rate limit this process grants; never more parts than the ceiling says."""
        place, of = self._place
        parts = min(of, self.ceiling.proxies)
        return place % parts, parts

    def _divide(self) -> None:
        for one in self._live:
            one.part = self.part

    def _unserved(self, rule: Rule) -> str | None:
        if rule.kind != "set_model_alias":
            return None
        to_model = rule.settings["to_model"]
        if self._models.served(to_model) is False:
            return f"this proxy does not serve {to_model}"
        if self._models.served(to_model):
            self._models.info(to_model)  # so that no request has to wait for it
        return None

    def _read_ceiling(self) -> Ceiling:
        path = self._config.ceiling
        if path is None:
            return Ceiling()
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._ceiling_stamp:  # YAML in Python is slow, and requests wait for the interpreter meanwhile
                ceiling = read_ceiling(path.read_text(encoding="utf-8"))
                self._ceiling_stamp = stamp
                return ceiling
            return self.ceiling  # noqa: TRY300  # both returns belong to a file that could be read
        except (OSError, UnicodeDecodeError, Refused) as error:
            complain(f"nothing is allowed: {error}")
            self._ceiling_stamp = (0, 0, 0)
            return Ceiling(missing=f"the ceiling file cannot be used: {error}"[:300])

    def _load(self) -> None:
        if self._config.folder is None or not self._config.public_key:
            return
        try:
            envelope = json.loads((self._config.folder / "rules.json").read_text(encoding="utf-8"))
            self.accept(_mapping(envelope), keep=False)
        except FileNotFoundError:
            return
        except (OSError, ValueError, Refused) as error:
            complain(f"the rules on disk are not used: {error}")

    def _save(self, envelope: Mapping[str, Any]) -> None:
        folder = self._config.folder
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f"rules.{os.getpid()}.tmp"
            draft.write_text(json.dumps(dict(envelope)), encoding="utf-8")
            draft.replace(folder / "rules.json")
        except OSError as error:
            complain(f"the rules cannot be kept on disk: {error}")


_said: OrderedDict[str, float] = OrderedDict()


def complain(message: str) -> None:
    """Log a warning, the same one at most once in ten minutes."""
    now = time.monotonic()
    if now - _said.get(message, -math.inf) > 600:
        remember(_said, message, now, limit=100)
        _LOG.warning("bursar guard: %s", message)


# --- one request -------------------------------------------------------------------------------------------------

REFUSING = frozenset({"set_rate_limit", "set_session_cap", "set_context_cap", "block_key"})
GENERATES = frozenset({"completion", "acompletion", "anthropic_messages", "responses", "aresponses"})
"""Call types whose body the guard may change. On others it counts and refuses only."""
CACHES = frozenset({"completion", "acompletion", "anthropic_messages"})


@dataclass
class Note:
    """What the guard keeps of a call until LiteLLM logs it."""

    call: Call
    facts: dict[str, Any]
    decision: Decision | None = None
    changed: str = ""
    probe: bool = False


class Guard:
    """Decides on each call before it is made, and notes what it used afterwards. No I/O, no LiteLLM."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.time, models: Models | None = None) -> None:
        """`clock` and `models` can be replaced in tests."""
        self.config, self.clock = config, clock
        self.models = models or Models(clock)
        self.book = RuleBook(config, clock=clock, models=self.models)
        self.spool = Spool(config.spool)
        self.counters = {"seen": 0, "changed": 0, "refused": 0, "errors": 0}
        self._notes: OrderedDict[str, Note] = OrderedDict()
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._prompts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._sessions: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._nonces: OrderedDict[str, float] = OrderedDict()
        self._heads = Heads()

    # --- before the call ---

    def before(self, user: Any, data: dict[str, Any], call_type: str) -> Stop | None:
        """Look at one call: change `data` in place, or return the answer that ends it.

        `data` is touched only at the very end, so that a fault on the way leaves the request as it was.
        """
        proxy_request = _mapping(data.get("proxy_server_request"))
        sealed = _mapping(proxy_request.get("headers")).get("x-bursar-probe")
        if sealed is not None:
            return self._probe(str(sealed), data, call_type)
        self.counters["seen"] += 1
        name = _metadata_name(data, call_type)
        metadata = _mapping(data.get(name)) if name else {}
        dims = resolve_dims(user, data, metadata)
        hints = hints_of(data, self.config.salt)
        now = self.clock()
        lot = dims.get("session_id") or hints.prompt_hash
        call = Call(dims, now, _first(_at(user, "key_alias")), hints.prompt_chars // 4, lot)
        decision = decide(
            call,
            self._live_for(call, call_type),
            fits=lambda model: misfit(needs_of(data, hints.prompt_chars), self.models.info(model)),
            session_began=self._session_began(dims, now),
            swap_mid_session=self.book.ceiling.swap_mid_session,
        )
        # Beside `dims` each dimension stands at the top too, because that is where Bursar's source looks for them.
        facts = {"dims": dims, **dims, **vars(hints), "requested_model": dims.get("model", "")}
        facts.pop("model", None)
        note = Note(call, facts, decision)
        if decision.refused_by is not None:
            return self._refuse(note, user, data, call_type)
        facts["attempt"] = self._attempt(dims, hints, now)
        who = "\0".join(dims.get(name, "") for name in ("api_key_id", "app", "route", "prompt_version", "model"))
        facts.update(self._heads.look(who, hints.prefix_hash, data))
        changes = self._changes(note, data, call_type)
        self._keep(note, data, call_type)
        for key, value in changes.items():
            if value is None:
                data.pop(key, None)
            else:
                data[key] = value
        return None

    def _live_for(self, call: Call, call_type: str) -> tuple[Live, ...]:
        live = self.book.live()
        if not live or self.book.ceiling.protects(call.dims, call.alias):
            return ()
        return live if call_type in GENERATES else tuple(one for one in live if one.rule.kind in REFUSING)

    def _changes(self, note: Note, data: Body, call_type: str) -> dict[str, Any]:
        decision = note.decision
        assert decision is not None
        changes: dict[str, Any] = {}
        done: list[str] = []
        for kind, rule in decision.changes.items():
            if kind == "set_model_alias":
                part = {"model": rule.settings["to_model"]}
                said = f"model={rule.settings['to_model']}"
            elif kind == "set_output_cap":
                part, said = cap_output(data, rule.settings["max_tokens"]), f"max_tokens={rule.settings['max_tokens']}"
            elif kind == "set_reasoning_effort":
                part, said = lower_effort(data, rule.settings["effort"]), f"effort={rule.settings['effort']}"
            elif kind == "set_service_tier":
                part, said = standard_tier(data), "tier=standard"
            else:
                part = set_cache(data, rule.settings["ttl"]) if call_type in CACHES else {}
                said = f"cache={rule.settings['ttl']}"
            if part:
                changes.update(part)
                done.append(said)
                note.facts["remedy_id"] = rule.remedy_id
        if done:
            self.counters["changed"] += 1
            note.changed = "; ".join(done)
            note.facts["changed"] = done
        return changes

    def _refuse(self, note: Note, user: Any, data: dict[str, Any], call_type: str) -> Stop:
        decision = note.decision
        assert decision is not None
        assert decision.refused_by is not None
        self.counters["refused"] += 1
        note.facts.update(remedy_id=decision.refused_by.remedy_id, status="refused", attempt=1)
        self._keep(note, data, call_type)
        stop = stop_of(decision)
        if call_type == RAW_ROUTE:  # LiteLLM writes no log of a refused pass-through call
            self.spool.put(_refused_record(note, user, data, call_type, stop.status))
        return stop

    def _keep(self, note: Note, data: dict[str, Any], call_type: str) -> None:
        """Remember the note until the call is logged, and put it where LiteLLM's own log carries it."""
        if call_id := _call_id(data):
            remember(self._notes, call_id, note, limit=5_000)
        name = _metadata_name(data, call_type)
        if not name:
            return
        if not isinstance(data.get(name), dict):
            data[name] = {}
        labels = _mapping(data[name].get("spend_logs_metadata"))
        facts = {"probe": True} if note.probe else note.facts
        data[name]["spend_logs_metadata"] = {**labels, "bursar": facts}

    def _session_began(self, dims: Mapping[str, str], now: float, *, look_only: bool = False) -> float | None:
        if "session_id" not in dims:
            return None
        session = f"{dims.get('api_key_id', '')}\0{dims['session_id']}"  # clients choose the ids: two may choose one
        began, last = self._sessions.get(session, (now, now))
        if now - last > SESSION_IDLE:
            began = now
        if not look_only:
            remember(self._sessions, session, (began, now))
        return began

    def _attempt(self, dims: Mapping[str, str], hints: Hints, now: float) -> int:
        key = f"{dims.get('api_key_id', '')}\0{hints.prompt_hash}"
        last, attempt = self._prompts.get(key, (-math.inf, 0))
        attempt = attempt + 1 if now - last <= RETRY_WITHIN else 1
        remember(self._prompts, key, (now, attempt))
        return attempt

    # --- a probe ---

    def _probe(self, sealed: str, data: dict[str, Any], call_type: str) -> Stop:
        """Answer a signed question "what would you do?" without an upstream call; a bad one is refused."""
        self._keep(Note(Call({}, self.clock()), {}, probe=True), data, call_type)
        try:
            asked = self._open_probe(sealed)
        except Refused as error:
            return Stop(403, "bursar_probe_refused", str(error), {"x-should-retry": "false"}, {})
        dims = {str(name): str(value) for name, value in _mapping(asked.get("dims")).items()}
        if model := _first(asked.get("model")):
            dims["model"] = model
        call = Call(dims, self.clock())
        decision = decide(
            call,
            self._live_for(call, "acompletion"),
            fits=lambda model: None if self.models.info(model) else "LiteLLM does not know the model",
            session_began=self._session_began(dims, call.now, look_only=True),
            swap_mid_session=self.book.ceiling.swap_mid_session,
            count=False,
        )
        rules = self.book.in_force()
        answer = {
            "etag": rules.etag if rules else None,
            "sequence": rules.sequence if rules else None,
            "decision": decision.as_dict(),
        }
        text = json.dumps(answer, sort_keys=True, separators=(",", ":"))
        return Stop(418, "bursar_probe", text, {"x-should-retry": "false"}, {})

    def _open_probe(self, sealed: str) -> Mapping[str, Any]:
        payload, _, signature = sealed.partition(".")
        raw = _base64(payload, url=True)
        verify_signature(raw, _base64(signature, url=True), self.config.public_key)
        now = self.clock()
        try:
            asked = _mapping(json.loads(raw))
            nonce, expires_at = str(asked["nonce"]), _moment(asked["expires_at"])
            if asked["v"] != 1:
                raise Refused("this guard reads probes of version 1")
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"the probe cannot be read: {error}") from error
        if not now < expires_at <= now + PROBE_LIFE + 5:  # clocks of two hosts differ by a little
            raise Refused("the probe has expired, or lives longer than a minute")
        if nonce in self._nonces:
            raise Refused("this probe was asked before")
        remember(self._nonces, nonce, expires_at)
        return asked

    # --- after the call ---

    def after(self, payload: Mapping[str, Any]) -> None:
        """Note the usage of a call that LiteLLM logged; once, however often it logs it."""
        note = self._notes.get(str(payload.get("litellm_call_id", "")))
        if note is not None and note.probe:
            return
        record_id = f"{payload.get('id')}\0{payload.get('status')}"
        if record_id in self._sent:
            return
        remember(self._sent, record_id, None)
        facts = dict(note.facts) if note is not None else {}
        if payload.get("status") == "failure" and note is not None and note.decision is not None:
            facts.setdefault("status", "error")
        else:
            facts.update(_answer_facts(payload))
        total = payload.get("total_tokens")
        if note is not None and note.decision is not None and isinstance(total, int):
            for one in note.decision.reserved:
                one.settle(note.call, total)
        self.spool.put(usage_record(payload, facts))

    def headers(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Response headers that tell the client what was changed; {} where nothing was."""
        note = self._notes.get(_call_id(data))
        if note is None or not note.changed:
            return {}
        remedy = header_text(str(note.facts.get("remedy_id", "")))
        return {"x-bursar-remedy": remedy, "x-bursar-change": header_text(note.changed)}


def _metadata_name(data: Mapping[str, Any], call_type: str) -> str:
    """Where LiteLLM keeps its own metadata of a request; on pass-through routes `metadata` is the client's."""
    if call_type == RAW_ROUTE:
        return ""
    return "litellm_metadata" if "litellm_metadata" in data else "metadata"


def _call_id(data: Mapping[str, Any]) -> str:
    return _first(data.get("litellm_call_id"), getattr(data.get("litellm_logging_obj"), "litellm_call_id", None))


def _refused_record(note: Note, user: Any, data: Body, call_type: str, status: int) -> dict[str, Any]:
    metadata = {
        "user_api_key_hash": note.call.dims.get("api_key_id"),
        "user_api_key_alias": _at(user, "key_alias"),
        "user_api_key_team_id": _at(user, "team_id"),
        "user_api_key_team_alias": _at(user, "team_alias"),
        "user_api_key_auth_metadata": dict(_mapping(_at(user, "metadata"))),
        "user_api_key_request_route": _at(user, "request_route"),
    }
    payload = {
        "id": _call_id(data) or uuid.uuid4().hex,
        "litellm_call_id": _call_id(data),
        "call_type": call_type,
        "status": "failure",
        "model": note.call.model,
        "model_group": note.call.model,
        "startTime": note.call.now,
        "endTime": note.call.now,
        "response_cost": 0.0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "error_information": {"error_code": str(status), "error_class": "ProxyException"},
        "metadata": metadata,
    }
    return usage_record(payload, note.facts)


# --- talking to Bursar, in the background ------------------------------------------------------------------------


class Courier:
    """Fetches rules, sends usage and reports, in a thread of its own; nothing here is on a request's way."""

    BATCH = 500
    FLUSH_SECONDS = 1.0

    def __init__(self, guard: Guard, *, transport: httpx.BaseTransport | None = None) -> None:
        """`transport` can be replaced in tests."""
        self._guard, self._config = guard, guard.config
        self._transport = transport
        self._batch = self.BATCH
        self._next_poll = -math.inf
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._started_at = guard.clock()
        self._proxy_id = ""

    def start(self) -> None:
        """Start the thread; again in every process that a server forks."""
        self._busy = threading.Lock()
        self._proxy_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        threading.Thread(target=self._run, name="bursar-guard", daemon=True).start()

    def stop(self) -> None:
        """End the thread, and send what still waits if Bursar answers at once."""
        self._stop.set()
        with contextlib.suppress(Exception), self._client(timeout=2.0) as client:
            self.send_usage(client)

    def _run(self) -> None:
        with self._client(timeout=5.0) as client:
            while not self._stop.is_set():
                try:
                    self.tick(client)
                except Exception as error:  # the thread must outlive every fault
                    self._guard.counters["errors"] += 1
                    complain(f"{type(error).__name__}: {error}")
                self._stop.wait(min(self.FLUSH_SECONDS, self._config.poll_seconds))

    def _client(self, *, timeout: float) -> httpx.Client:
        headers = {"authorization": f"Bearer {self._config.token}", "user-agent": f"bursar-guard/{VERSION}"}
        return httpx.Client(
            base_url=self._config.url,
            headers=headers,
            timeout=timeout,
            follow_redirects=False,
            transport=self._transport,
        )

    def tick(self, client: httpx.Client) -> None:
        """Send what waits; fetch rules and report when it is time."""
        now = time.monotonic()
        if now >= self._next_poll:
            self._next_poll = now + self._config.poll_seconds
            self.poll(client)
        self.send_usage(client)

    def poll(self, client: httpx.Client) -> None:
        """Fetch the rules and report what is in force; Bursar being away is no fault."""
        book = self._guard.book
        book.refresh()
        rules = book.in_force()
        try:
            answer = client.get("/guard/v1/rules", headers={"if-none-match": f'"{rules.etag}"'} if rules else {})
            if answer.status_code == 200:
                book.accept(_mapping(answer.json()))
            elif answer.status_code != 304:
                complain(f"Bursar answered {answer.status_code} to a request for rules")
        except Refused as error:
            complain(f"the rules that Bursar sent are refused: {error}")
        except (httpx.HTTPError, ValueError) as error:
            complain(f"no rules from Bursar: {type(error).__name__} {error}")
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = client.post("/guard/v1/report", json=self.report())
            place = _mapping(answer.json()) if answer.status_code == 200 else {}
            if type(place.get("place")) is int and type(place.get("of")) is int:
                book.share(place["place"], place["of"])

    def report(self) -> dict[str, Any]:
        """What this process has in force and has done since it started."""
        guard = self._guard
        rules = guard.book.in_force()
        return {
            "proxy_id": self._proxy_id,
            "etag": rules.etag if rules else None,
            "sequence": rules.sequence if rules else None,
            "version": VERSION,
            "litellm": _litellm_version(),
            "started_at": _iso(self._started_at),
            "now": _iso(guard.clock()),
            "off": guard.book.is_off(),
            "part": list(guard.book.part),
            "refused_rules": list(guard.book.refused),
            "counters": {**guard.counters, "dropped": guard.spool.dropped},
        }

    def send_usage(self, client: httpx.Client) -> None:
        """Send all that waits in batches; stop at the first batch that cannot be delivered now."""
        with self._busy:
            while records := self._guard.spool.take(self._batch):
                if not self._send(client, records):
                    return

    def _send(self, client: httpx.Client, records: list[dict[str, Any]]) -> bool:
        body = gzip.compress(json.dumps({"records": records}, default=str).encode("utf-8", "replace"), compresslevel=5)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        try:
            answer = client.post("/v1/usage", content=body, headers=headers)
        except httpx.HTTPError as error:
            self._guard.spool.give_back(records)
            complain(f"usage waits: {type(error).__name__} {error}")
            return False
        if answer.status_code == 200:
            self._batch = min(self.BATCH, self._batch * 2)
            return True
        complain(f"Bursar answered {answer.status_code} to usage")
        if answer.status_code in (400, 413, 422):
            # Something in the batch is not to its taste: narrow it down to the record, and leave that one out.
            if len(records) == 1:
                self._guard.spool.drop(records)
                return True
            self._batch = max(1, len(records) // 2)
            self._guard.spool.give_back(records)
            return True
        self._guard.spool.give_back(records)
        return False


def _litellm_version() -> str:
    try:
        return distributions.version("litellm")
    except distributions.PackageNotFoundError:
        return ""


# --- LiteLLM's side ----------------------------------------------------------------------------------------------

if TYPE_CHECKING or find_spec("litellm") is None:  # the pure parts above are tested where LiteLLM is not installed

    class CustomLogger:
        """LiteLLM's base class of callbacks."""

    class ProxyException(Exception):
        """LiteLLM's refusal: keeps headers and fields on every route, and is shaped as OpenAI or Anthropic by route."""

        code: str

        def __init__(self, **fields: Any) -> None:
            """Fields: message, type, param, code, headers, provider_specific_fields."""
            super().__init__(fields["message"])
            self.fields = fields

else:
    from litellm.integrations.custom_logger import CustomLogger
    from litellm.proxy._types import ProxyException


class BursarGuard(CustomLogger):
    """The callback that LiteLLM loads. The method names and parameters are LiteLLM's."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        """Read the environment and start; a faulty configuration leaves the guard idle and says so in the log."""
        super().__init__()
        try:
            config = Config.from_environment(os.environ if env is None else env)
        except Refused as error:
            _LOG.error("bursar guard: idle, because %s", error)
            config = Config()
        self.guard = Guard(config)
        self.courier = Courier(self.guard)
        if config.complete:
            self.courier.start()
            os.register_at_fork(after_in_child=self.courier.start)
            atexit.register(self.courier.stop)

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        """Change the request, or end it with a refusal; a fault of the guard lets it pass as it was."""
        del cache
        refusal = None
        try:
            if self.guard.config.complete and isinstance(data, dict):
                stop = self.guard.before(user_api_key_dict, data, str(getattr(call_type, "value", call_type)))
                refusal = _as_exception(stop) if stop is not None else None
        except Exception as error:  # whatever it is, it is not the client's
            self._fault("before a call", error)
        if refusal is not None:
            raise refusal
        return data

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Note the usage of a call that was answered; streams come here when they end."""
        del response_obj, start_time, end_time
        self._log(kwargs)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Note a call that failed, or that the guard refused."""
        del response_obj, start_time, end_time
        self._log(kwargs)

    async def async_post_call_response_headers_hook(
        self, data: Any, user_api_key_dict: Any, response: Any, request_headers: Any = None
    ) -> dict[str, str]:
        """Tell the client which remedy changed its request."""
        del user_api_key_dict, response, request_headers
        try:
            return self.guard.headers(_mapping(data))
        except Exception as error:  # the answer matters more than its headers
            self._fault("at the headers", error)
            return {}

    def _log(self, kwargs: Any) -> None:
        try:
            payload = _mapping(kwargs).get("standard_logging_object")
            if self.guard.config.complete and isinstance(payload, Mapping):
                self.guard.after(payload)
        except Exception as error:  # LiteLLM's logging goes on without us
            self._fault("after a call", error)

    def _fault(self, where: str, error: Exception) -> None:
        self.guard.counters["errors"] += 1
        complain(f"a fault {where}, the call was not touched: {type(error).__name__} {error}")


def _as_exception(stop: Stop) -> Exception:
    error = ProxyException(
        message=stop.message,
        type=stop.type,
        param=None,
        code=stop.status,
        headers=dict(stop.headers),
        provider_specific_fields=stop.fields or None,
    )
    error.code = str(stop.status)  # LiteLLM picks another status where the message holds certain words
    return error


guard = BursarGuard()
