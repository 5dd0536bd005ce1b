"""A gateway that can only be looked at, for the tests of propose and rule."""

from store.model.ports import Capabilities, Observed, Preview, Unreadable
from store.model.remedy import Action, Settings
from tests.playbooks.tables import EVERYTHING


class LookedAt:
    """Holds one answer for every action; None: it cannot be read."""

    name = "guard"

    def __init__(
        self,
        held: Settings | None = None,
        *,
        marker: str | None = None,
        readable: bool = True,
        capabilities: Capabilities = EVERYTHING,
    ) -> None:
        self._held = {} if held is None else held
        self._marker = marker
        self._readable = readable
        self._capabilities = capabilities

    def capabilities(self) -> Capabilities:
        """What it was made with."""
        return self._capabilities

    def observe(self, action: Action) -> Observed:
        """The one answer, at version etag-1."""
        if not self._readable:
            raise Unreadable(f"GET {action.kind}: 503")
        return Observed(value=self._held, marker=self._marker, version="etag-1")

    def preview(self, action: Action) -> Preview:
        """Before and after as they are."""
        return Preview(before=str(action.was), after=str(action.to))
