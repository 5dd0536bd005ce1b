"""Runs inside the LiteLLM proxy: keys are the lines of a JSON file, so that a test can add one while it runs."""

import importlib
import json
import os
from pathlib import Path
from typing import Any


async def user_api_key_auth(request: Any, api_key: str) -> Any:
    """Whose key it is: {"team", "alias", "metadata"} of BURSAR_TEST_KEYS; an unknown key is turned away."""
    del request
    known = json.loads(Path(os.environ["BURSAR_TEST_KEYS"]).read_text())
    who = known[api_key]
    types = importlib.import_module("litellm.proxy._types")
    return types.UserAPIKeyAuth(
        api_key=api_key,
        key_alias=who["alias"],
        team_id=who["team"],
        team_alias=who["team"],
        metadata=who["metadata"],
    )
