"""The guard inside LiteLLM proxies as a gateway: rules go through the rule book, proof comes from the proxies.

What we ask for is read from the book. Whether traffic meets it is asked of the data path: a signed request that the
guard answers in its pre-call hook, and the ETag that every live proxy reports.
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from store.errors import BadInput, BursarError
from store.ledger.guard_values import Changed, Held, SeenProxy, Slot, slot_of
from store.model.canonical import canonical_json
from store.model.ports import Applied, Capabilities, Clock, Observed, Preview, Probed, Unreadable
from store.model.remedy import Action, ActionKind, SetModelAlias, Settings
from store.model.usage import iso
from tools.actuators.guard_probe import decision_in, meets
from tools.actuators.guard_rules import GuardPublisher, Issues, request_dims
from tools.actuators.settings import GuardSettings
from tools.actuators.signing import Signer
from tools.http import Host, NoAnswer

HANDLES: frozenset[ActionKind] = frozenset(
    {
        "set_model_alias",
        "set_rate_limit",
        "set_session_cap",
        "set_output_cap",
        "set_context_cap",
        "set_reasoning_effort",
        "set_service_tier",
        "set_prompt_cache",
        "block_key",
    }
)
PROBE_LIFE = timedelta(seconds=60)
POLLS = 3
"""A proxy that was silent for longer than so many polls is not counted as live."""
_PROBE_SECONDS = 5.0
_PROBE_TEXT = "A probe by Bursar: the guard answers it, no model does."
_ANY_MODEL = "bursar-probe"


class Words(NamedTuple):
    """What a rule tells the people whose calls it changes."""

    revision: int
    reason: str
    owner: str


class RuleBook(Issues, Protocol):
    """What the gateway needs of the rule book."""

    def guard_slot(self, slot: Slot) -> tuple[Held, str | None]:
        """What a slot holds now, and its version."""
        ...

    def guard_set(self, slot: Slot, held: Held, *, key: str, expected_version: str | None) -> Changed:
        """Let a slot hold this."""
        ...

    def guard_restore(
        self, slot: Slot, *, value: Settings, marker: str, key: str, expected_version: str | None
    ) -> Changed:
        """Bring back what our value replaced."""
        ...

    def guard_proxies(self, *, since: datetime) -> list[SeenProxy]:
        """The newest reports that came since then."""
        ...


class GuardGateway:
    """Reads and changes the guard's rules (GatewayReader and Actuator).

    `words_for` tells of a remedy id what its rule says to people.
    """

    name = "guard"

    def __init__(
        self,
        *,
        book: RuleBook,
        signer: Signer,
        settings: GuardSettings,
        words_for: Callable[[str], Words],
        clock: Clock,
    ) -> None:
        self._book = book
        self._signer = signer
        self._settings = settings
        self._words_for = words_for
        self._clock = clock
        self._publisher = GuardPublisher(book=book, signer=signer)
        key = settings.probe_key.get_secret_value() if settings.probe_key else None
        self._proxy = Host(settings.proxy_url, bearer=key, seconds=_PROBE_SECONDS) if settings.proxy_url else None

    # --- the reader ------------------------------------------------------------------------------------------

    def capabilities(self) -> Capabilities:
        """Everything; without `proxy_url` there is no probe, and so nothing is done without a person."""
        return Capabilities(
            handles=HANDLES,
            readback=True,
            marker=True,
            cas=True,
            idempotency=True,
            probe=self._proxy is not None,
            propagation_seconds=self._settings.poll_seconds,
            permissions=("guard.token", "a proxy key for probes"),
        )

    def observe(self, action: Action) -> Observed:
        """What we ask of the proxies for the action's kind and target; `probe` tells whether they do it.

        Raises:
            Unreadable: the rule book did not answer.
        """
        try:
            held, version = self._book.guard_slot(slot_of(action))
        except BursarError as error:
            raise Unreadable(f"reading {action.kind} of {action.target.text} in the rule book: {error}") from error
        return Observed(value=held.value, marker=held.marker, version=version)

    def preview(self, action: Action) -> Preview:
        """Before and after in words."""
        return Preview(before=_words(action, action.was), after=_words(action, action.to))

    # --- the actuator ----------------------------------------------------------------------------------------

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """Write the rule into the book; the proxies fetch it within `poll_seconds` and drop it at `expires_at`."""
        if action.kind not in HANDLES:
            return Applied(status="refused", detail=f"the guard does not handle {action.kind}")
        try:
            request_dims(action.target)
        except ValueError as error:
            return Applied(status="refused", detail=str(error))
        if action.kind == "block_key" and not action.target.dims:
            return Applied(status="refused", detail="a block without a target would block everything")

        def change() -> Changed:
            revision, reason, owner = self._words_for(marker)
            held = Held(
                value=action.to, marker=marker, revision=revision, expires_at=expires_at, reason=reason, owner=owner
            )
            return self._book.guard_set(slot_of(action), held, key=idempotency_key, expected_version=expected_version)

        return _applied(change)

    def revert(self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None) -> Applied:
        """Bring back what our rule replaced, where value and marker are still ours; otherwise conflict."""
        return _applied(
            lambda: self._book.guard_restore(
                slot_of(action),
                value=action.to,
                marker=marker,
                key=idempotency_key,
                expected_version=expected_version,
            )
        )

    def probe(self, action: Action, *, marker: str) -> Probed:
        """Ask the data path, then read back from every live proxy; "yes" needs both."""
        if self._proxy is None:
            return Probed(status="unsure", detail="no probe: guard.proxy_url is not set")
        try:
            held, _ = self._book.guard_slot(slot_of(action))
            etag = self._publisher.signed().etag
            live = self._book.guard_proxies(
                since=self._clock() - timedelta(seconds=POLLS * self._settings.poll_seconds)
            )
            decision = self._ask(self._proxy, action, marker)
        except (BursarError, NoAnswer, ValueError) as error:
            return Probed(status="unsure", detail=str(error))
        if held.marker != marker or held.value != action.to:
            return Probed(status="no", detail="the rule book holds no such rule")
        if not live:
            return Probed(status="unsure", detail="no proxy reports; is the guard mounted, its url and token right?")
        for proxy in live:
            against = _behind(proxy, etag, marker)
            if against is not None:
                return Probed(status="no", detail=f"proxy {proxy.report.proxy_id} {against}")
        if not meets(action, marker, decision):
            return Probed(status="no", detail="a request of the target does not meet the rule at the proxy")
        return Probed(status="yes")

    def close(self) -> None:
        """Close the connections to the proxy."""
        if self._proxy is not None:
            self._proxy.close()

    # --- inside ----------------------------------------------------------------------------------------------

    def _ask(self, proxy: Host, action: Action, marker: str) -> dict[str, Any]:
        """What the proxy would do with a request of the action's target.

        Raises:
            NoAnswer: it is not the guard that answered, or not in time.
            ValueError: the target cannot be pretended.
        """
        dims = request_dims(action.target)
        model = action.from_model if isinstance(action, SetModelAlias) else dims.get("model")
        model = model or self._settings.probe_model or _ANY_MODEL
        asked = {
            "v": 1,
            "remedy_id": marker,
            "dims": {**dims, "model": model},
            "model": model,
            "nonce": uuid.uuid4().hex,
            "expires_at": iso(self._clock() + PROBE_LIFE),
        }
        body = {
            "model": self._settings.probe_model or model,
            "max_tokens": 1,
            "messages": [{"role": "user", "content": _PROBE_TEXT}],
        }
        sealed = self._signer.seal(canonical_json(asked))
        route = self._settings.probe_route
        answer = proxy.call("POST", route, json=body, headers={"x-bursar-probe": sealed})
        return decision_in(answer.body, f"POST {proxy.base_url}{route}: {answer.status}")


def _applied(change: Callable[[], Changed]) -> Applied:
    try:
        changed = change()
    except BadInput as error:
        return Applied(status="refused", detail=str(error))
    except BursarError as error:
        return Applied(status="unsure", detail=str(error))
    return Applied(status=changed.status, version=changed.version, detail=changed.detail)


def _behind(proxy: SeenProxy, etag: str, marker: str) -> str | None:
    """Why a live proxy does not do what the book says; None where it does."""
    if proxy.report.off:
        return "is switched off by its operator"
    refused = [rule.why for rule in proxy.report.refused_rules if rule.remedy_id == marker]
    if refused:
        return f"will not follow the rule: {refused[0]}"
    return None if proxy.report.etag == etag else "has not fetched the rules yet"


def _words(action: Action, value: Settings) -> str:
    settings = ", ".join(f"{name} {setting}" for name, setting in value.items() if setting is not None)
    return f"{action.kind} of {action.target.text}: {settings or 'not set'}"
