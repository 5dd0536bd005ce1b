"""Runs inside the LiteLLM proxy beside the guard: a stopwatch around the guard's hook."""

import copy
import importlib
import json
import time
from pathlib import Path
from typing import Any

CustomLogger: Any = importlib.import_module("litellm.integrations.custom_logger").CustomLogger


class Stopwatch(CustomLogger):  # type: ignore[misc]  # LiteLLM is installed in the proxy only
    """`x-time-guard: N` runs the guard's hook on N copies of that real request, and writes the times to a file."""

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        """Time the guard, as LiteLLM calls it."""
        headers = (data.get("proxy_server_request") or {}).get("headers") or {}
        rounds = int(headers.get("x-time-guard", 0))
        if not rounds:
            return data
        callbacks = importlib.import_module("litellm").callbacks
        guard = next(one for one in callbacks if type(one).__name__ == "BursarGuard")
        wall, processor = [], []
        for _ in range(rounds):
            one = {**data, "messages": copy.deepcopy(data["messages"]), "metadata": dict(data["metadata"])}
            start, start_processor = time.perf_counter_ns(), time.thread_time_ns()
            await guard.async_pre_call_hook(user_api_key_dict, cache, one, call_type)
            processor.append(time.thread_time_ns() - start_processor)
            wall.append(time.perf_counter_ns() - start)
        found = {"calls": rounds, "wall_us": _quantiles(wall), "processor_us": _quantiles(processor)}
        Path(__file__).with_name("times.json").write_text(json.dumps(found))
        return data


def _quantiles(times: list[int]) -> dict[str, float]:
    ordered = sorted(times)
    return {"p50": ordered[len(ordered) // 2] / 1000, "p99": ordered[len(ordered) * 99 // 100] / 1000}


stopwatch = Stopwatch()
