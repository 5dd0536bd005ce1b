"""A seeded log of calls as LiteLLM writes it, for the benchmark of ingest: about 430 bytes and 16 values a line."""

import random
from pathlib import Path

import msgspec

_MODELS = (
    ("anthropic", "claude-opus-4-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
)
_START = 1_763_596_800
_KEYS, _TEAMS, _APPS, _SESSION_CALLS = 1_500, 30, 300, 20


def write_lines(path: Path, rows: int, *, seed: int = 1) -> None:
    """Write that many calls, ten a second, of 1,500 keys in 30 teams and 300 apps."""
    numbers = random.Random(seed)
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for at in range(rows):
            file.write(encode(_line(at, numbers)) + b"\n")


def _line(at: int, numbers: random.Random) -> dict[str, object]:
    provider, model = _MODELS[numbers.randrange(len(_MODELS))]
    key, prompt, ended = numbers.randrange(_KEYS), 2_000 + numbers.randrange(10_000), _START + at / 10
    return {
        "id": f"chatcmpl-{numbers.getrandbits(96):024x}",
        "call_type": "acompletion",
        "startTime": ended - numbers.randrange(1_000, 9_000) / 1_000,
        "endTime": ended,
        "custom_llm_provider": provider,
        "model": model,
        "status": "success",
        "prompt_tokens": prompt,
        "completion_tokens": numbers.randrange(2_000),
        "response_cost": numbers.randrange(10**8) / 1e9,
        "end_user": f"u{numbers.randrange(5_000)}",
        "metadata": {
            "user_api_key_hash": f"hash-{key}",
            "user_api_key_team_alias": f"team-{key % _TEAMS}",
            "spend_logs_metadata": {"app": f"app-{key % _APPS}", "session_id": f"s{at // _SESSION_CALLS:012x}"},
            "usage_object": {"prompt_tokens_details": {"cached_tokens": numbers.randrange(2_000)}},
        },
    }


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens_details: _Details


class _Caller(msgspec.Struct, gc=False):
    app: str
    session_id: str


class _Metadata(msgspec.Struct, gc=False):
    user_api_key_hash: str
    user_api_key_team_alias: str
    spend_logs_metadata: _Caller
    usage_object: _Usage


class Line(msgspec.Struct, gc=False):
    """A line as the peers decode it: exactly its values, checked for nothing else."""

    id: str
    call_type: str
    startTime: float  # noqa: N815 # LiteLLM's name
    endTime: float  # noqa: N815 # LiteLLM's name
    custom_llm_provider: str
    model: str
    status: str
    prompt_tokens: int
    completion_tokens: int
    response_cost: float
    end_user: str
    metadata: _Metadata

    def values(self) -> tuple[str | int | float, ...]:
        """Its 16 values in the order of COLUMNS."""
        more = self.metadata
        return (
            *msgspec.structs.astuple(self)[:-1],
            more.user_api_key_hash,
            more.user_api_key_team_alias,
            more.spend_logs_metadata.app,
            more.spend_logs_metadata.session_id,
            more.usage_object.prompt_tokens_details.cached_tokens,
        )


COLUMNS = (*Line.__struct_fields__[:-1], "api_key_id", "team", "app", "session_id", "cache_read")
