"""The rule set as the proxies get it: canonical JSON, signed, with a sequence and an end."""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from store.ledger.guard_values import Held, Issue
from store.model.canonical import canonical_json
from store.model.remedy import ActionKind
from store.model.usage import Scope, iso
from tools.actuators.signing import Signer

LIFETIME = timedelta(hours=24)
"""A proxy that does not hear from us drops all rules after this; each rule ends with its own lease, mostly before."""
REISSUE_AFTER = timedelta(hours=1)
BY_HAND = "by-hand"
"""Stands for the remedy of a rule that a person set."""
DIMENSIONS = frozenset({"team", "app", "environment", "api_key_id", "end_user", "session_id", "route", "model"})
"""What the guard can tell of a request before it is answered."""
_REQUESTED = "requested_model"


class Issues(Protocol):
    """What is read of the rule book."""

    def guard_issue(self, *, reissue_after: timedelta) -> Issue:
        """The rules to serve."""
        ...


class SignedRules(NamedTuple):
    """`etag` is the SHA-256 of the payload in hex; `body` is the JSON document to answer with."""

    etag: str
    body: str


class GuardPublisher:
    """Signs the rule book's issue; the same bytes for everybody until the book is issued anew."""

    def __init__(self, *, book: Issues, signer: Signer) -> None:
        self._book = book
        self._signer = signer

    def signed(self) -> SignedRules:
        """The rules in force.

        Raises:
            BursarError: the database did not answer.
        """
        text = payload(self._book.guard_issue(reissue_after=REISSUE_AFTER))
        envelope = {"payload": text, "signature": self._signer.sign(text), "key_id": self._signer.key_id}
        return SignedRules(hashlib.sha256(text.encode()).hexdigest(), canonical_json(envelope))


def payload(issue: Issue) -> str:
    """The text that is signed byte for byte."""
    ends = issue.issued_at + LIFETIME
    return canonical_json(
        {
            "v": 1,
            "sequence": issue.sequence,
            "issued_at": iso(issue.issued_at),
            "expires_at": iso(ends),
            "rules": [_rule(kind, target, held, ends) for kind, target, held in issue.rules],
        }
    )


def request_dims(target: Scope) -> dict[str, str]:
    """A target in the words of a request: there `model` is the one that was asked for.

    Raises:
        ValueError: the guard cannot tell one of its dimensions before the call.
    """
    dims = target.as_dict()
    asked = dims.pop(_REQUESTED, None)
    if asked is not None and dims.setdefault("model", asked) != asked:
        raise ValueError("the guard cannot tell the model that will answer from the one that is asked for")
    unknown = sorted(set(dims) - DIMENSIONS)
    if unknown:
        raise ValueError(f"the guard cannot tell {', '.join(unknown)} of a request before it is answered")
    return dims


def _rule(kind: ActionKind, target: Scope, held: Held, ends: datetime) -> dict[str, object]:
    return {
        "remedy_id": held.marker or BY_HAND,
        "revision": held.revision,
        "expires_at": iso(held.expires_at or ends),
        "reason": held.reason,
        "owner": held.owner,
        "action": {"kind": kind, "target": request_dims(target), "was": {}, **held.value},
    }
