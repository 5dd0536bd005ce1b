"""One byte form for every value that is hashed: plan hashes, audit rows, stable ids."""

import hashlib
import json


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces, no NaN; equal values give equal text.

    Raises:
        ValueError: the value holds NaN or an infinity.
        TypeError: the value is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def stable_id(prefix: str, *parts: object) -> str:
    """A short id that equal parts always give: "inc-3f9a0c51d2"."""
    return f"{prefix}-{digest(list(parts))[:10]}"
