"""Runs in LiteLLM's environment: the real openai client, one JSON line in, one out, for as long as a test session."""

import importlib
import json
import sys
from typing import Any


def answer(openai: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Make one call; what came back: the body, or the error with its status, headers and body."""
    client = openai.OpenAI(base_url=asked["url"], api_key=asked["key"], max_retries=asked["max_retries"])
    try:
        reply = client.chat.completions.with_raw_response.create(**asked["body"])
        if asked["body"].get("stream"):
            parts = [chunk.model_dump() for chunk in reply.parse()]
            return {"status": 200, "headers": dict(reply.headers), "body": {"chunks": parts}}
        return {"status": 200, "headers": dict(reply.headers), "body": reply.parse().model_dump()}
    except openai.APIStatusError as error:
        headers = dict(error.response.headers)
        return {
            "status": error.status_code,
            "headers": headers,
            "body": error.response.json(),
            "raised": type(error).__name__,
        }


def main() -> None:
    """Serve until the input ends."""
    openai = importlib.import_module("openai")
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(openai, json.loads(line))) + "\n")
        sys.stdout.flush()


main()
