"""What the Messages API refuses, as far as our requests could break it."""

import re
from typing import Any

Json = dict[str, Any]

MOST_BREAKPOINTS = 4
MOST_STRICT_TOOLS = 20
_TOP = {
    *("model", "max_tokens", "messages", "system", "tools", "tool_choice", "output_config", "service_tier"),
    *("cache_control", "metadata", "stop_sequences", "stream", "thinking", "speed", "container"),
}
_KEYWORDS = {
    *("type", "enum", "const", "description", "title", "anyOf", "allOf", "$ref", "$defs", "items", "properties"),
    *("required", "additionalProperties", "format", "default"),
}


class Wrong(Exception):
    """A request that the provider would not take."""

    def __init__(self, says: str, status: int = 400) -> None:
        super().__init__(says)
        self.status = status


def check_request(path: str, headers: dict[str, str], body: Json, *, key: str) -> None:
    """Refuse what the provider would refuse.

    Raises:
        Wrong: with the status that it would have.
    """
    _need(path == "/v1/messages", f"no such path: {path}", 404)
    # The library sends the key as a bearer token since its version of the API of 2026-10-21; both are taken.
    _need(headers.get("x-api-key", headers.get("authorization")) in (key, f"Bearer {key}"), "the key", 401)
    _need(headers.get("anthropic-version") in ("2023-06-01", "2026-10-21"), "anthropic-version")
    _need(headers.get("content-type", "").startswith("application/json"), "content-type")
    _need(set(body) <= _TOP, f"unknown fields: {set(body) - _TOP}")
    _need(isinstance(body.get("model"), str), "model")
    _need(isinstance(body.get("max_tokens"), int) and 1 <= body["max_tokens"] <= 128_000, "max_tokens")
    tools = body.get("tools", [])
    _check_tools(tools)
    _check_choice(body.get("tool_choice"), tools)
    _check_messages(body.get("messages"), {tool["name"] for tool in tools})
    _check_format(body.get("output_config", {}))
    _need(body.get("service_tier", "auto") in ("auto", "standard_only"), "service_tier")
    breakpoints = _breakpoints(body)
    _need(breakpoints <= MOST_BREAKPOINTS, f"{breakpoints} breakpoints of the cache; at most {MOST_BREAKPOINTS}")


def _check_tools(tools: list[Json]) -> None:
    names = [tool.get("name", "") for tool in tools]
    _need(len(set(names)) == len(names), "tool names must be their own")
    _need(sum(bool(tool.get("strict")) for tool in tools) <= MOST_STRICT_TOOLS, "too many strict tools")
    for tool in tools:
        _need(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool["name"]) is not None, f"tool name {tool['name']!r}")
        _need(isinstance(tool.get("input_schema"), dict), "input_schema")
        _need(tool["input_schema"].get("type") == "object", "input_schema.type")
        _check_schema(tool["input_schema"], tool["input_schema"].get("$defs", {}))


def _check_choice(choice: Json | None, tools: list[Json]) -> None:
    if choice is None:
        return
    _need(bool(tools), "tool_choice without tools")
    _need(choice.get("type") in ("auto", "any", "none", "tool"), "tool_choice.type")


def _check_messages(messages: object, tools: set[str]) -> None:
    assert isinstance(messages, list)
    _need(bool(messages), "messages")
    open_ids: list[str] = []
    for i, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        _need(role == ("user", "assistant")[i % 2], f"messages.{i}: roles must alternate, the first is the user's")
        _need(isinstance(content, list) and bool(content), f"messages.{i}: content must not be empty")
        results = [block["tool_use_id"] for block in content if block.get("type") == "tool_result"]
        if role == "user":
            _need(sorted(results) == sorted(open_ids), f"messages.{i}: tool_use without its tool_result, or too many")
            kinds = [block.get("type") for block in content]
            first_text = kinds.index("text") if "text" in kinds else len(kinds)
            _need("tool_result" not in kinds[first_text:], f"messages.{i}: tool_result must come first")
        else:
            _need(not results, f"messages.{i}: tool_result of an assistant")
        open_ids = [block["id"] for block in content if block.get("type") == "tool_use"]
        _need(len(set(open_ids)) == len(open_ids), f"messages.{i}: tool_use ids must be their own")
        _need(not open_ids or bool(tools), f"messages.{i}: tool_use without tools")
        for block in content:
            _check_block(block, i)
    _need(messages[-1]["role"] == "user", "the last message must be the user's")


def _check_block(block: Json, i: int) -> None:
    match block.get("type"):
        case "text":
            _need(bool(str(block.get("text", "")).strip()), f"messages.{i}: text must not be empty")
        case "tool_use":
            _need(isinstance(block.get("input"), dict), f"messages.{i}: tool_use.input")
        case "tool_result":
            held = block.get("content")
            _need(isinstance(held, str) and bool(held), f"messages.{i}: tool_result.content")
        case "thinking":
            _need(bool(block.get("signature")), f"messages.{i}: a thinking block must come back unchanged")
        case kind:
            raise Wrong(f"messages.{i}: unknown block {kind!r}")


def _check_format(config: Json) -> None:
    _need(set(config) <= {"format", "effort"}, "output_config")
    _need(config.get("effort", "low") in ("low", "medium", "high", "xhigh", "max"), "effort")
    form = config.get("format")
    if form is not None:
        _need(form.get("type") == "json_schema" and set(form) == {"type", "schema"}, "output_config.format")
        _check_schema(form["schema"], form["schema"].get("$defs", {}))


def _check_schema(schema: Json, defs: Json) -> None:
    """The subset of JSON schema that structured output takes: closed objects, no bounds, no recursion."""
    _need(set(schema) <= _KEYWORDS, f"schema keywords {set(schema) - _KEYWORDS}")
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        _need(name in defs, f"schema: {schema['$ref']} leads nowhere")
        _check_schema(defs[name], {other: one for other, one in defs.items() if other != name})
    if schema.get("type") == "object":
        _need(schema.get("additionalProperties") is False, "schema: additionalProperties must be false")
        _need(set(schema.get("required", [])) <= set(schema["properties"]), "schema: required")
        for one in schema["properties"].values():
            _check_schema(one, defs)
    if schema.get("type") == "array":
        _check_schema(schema["items"], defs)
    for one in schema.get("anyOf", []):
        _check_schema(one, defs)


def _breakpoints(value: object) -> int:
    if isinstance(value, dict):
        here = "cache_control" in value
        if here:
            _need(value["cache_control"].get("type") == "ephemeral", "cache_control.type")
        return here + sum(_breakpoints(one) for one in value.values())
    return sum(_breakpoints(one) for one in value) if isinstance(value, list) else 0


def _need(holds: bool, says: str, status: int = 400) -> None:
    if not holds:
        raise Wrong(says, status)
