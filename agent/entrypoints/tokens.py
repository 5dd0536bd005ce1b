"""Bearer tokens of the HTTP doors, compared in constant time."""

import hmac
from collections.abc import Iterable


def is_known(authorization: str, tokens: Iterable[str]) -> bool:
    """Whether an Authorization header shows one of the tokens; an empty token opens nothing."""
    scheme, _, shown = authorization.partition(" ")
    raw = shown.strip().encode("utf-8", "surrogateescape")
    # Each token is compared, and each in constant time: neither which nor how much of one was right can be timed.
    same = [hmac.compare_digest(raw, token.encode()) for token in tokens if token]
    return scheme.lower() == "bearer" and any(same)
