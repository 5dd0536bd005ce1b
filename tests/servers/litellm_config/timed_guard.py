"""Runs inside the LiteLLM proxy: the guard, with a stopwatch around its hook for requests that ask for it."""

import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import bursar_guard  # type: ignore[import-not-found]  # mounted beside this file, as an operator does


class TimedGuard(bursar_guard.BursarGuard):  # type: ignore[misc]  # its module is found in the proxy only
    """`x-time-guard: N` runs the hook N times on copies of that real request, and writes the times to a file."""

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        headers = (data.get("proxy_server_request") or {}).get("headers") or {}
        if rounds := int(headers.get("x-time-guard", 0)):
            copies = [{**data, "litellm_metadata": {}, "metadata": dict(data["metadata"])} for _ in range(rounds)]
            for one in copies:
                one["messages"] = copy.deepcopy(data["messages"])
                one["metadata"].pop("spend_logs_metadata", None)
            times = []
            for one in copies:
                start = time.perf_counter_ns()
                await super().async_pre_call_hook(user_api_key_dict, cache, one, call_type)
                times.append(time.perf_counter_ns() - start)
            times.sort()
            found = {"calls": rounds, "p50_us": times[rounds // 2] / 1000, "p99_us": times[rounds * 99 // 100] / 1000}
            Path(__file__).with_name("times.json").write_text(json.dumps(found))
        return await super().async_pre_call_hook(user_api_key_dict, cache, data, call_type)


guard = TimedGuard()
