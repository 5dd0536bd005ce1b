"""The investigator's notebook: numbered evidence, and the numbers that cause tests read."""

from typing import NamedTuple

from store.model.incident import Evidence
from store.model.usage import Scope, Window

Datum = float | int | str | bool | None


class Note(NamedTuple):
    """One checked fact: the query it comes from, a plain sentence, its numbers and ids by name, and its own scope."""

    query: str
    says: str
    data: dict[str, Datum]
    scope: Scope | None = None


class Notebook:
    """Gives each note its id ("ev-1", "ev-2", ...) and remembers which note a number came from."""

    def __init__(self) -> None:
        self.evidence: list[Evidence] = []
        self.values: dict[str, Datum] = {}
        self._origin: dict[str, str] = {}

    def add(self, note: Note | None, *, scope: Scope, window: Window) -> None:
        """Number a note and file its data, under its own scope or this one.

        None, a question without an answer, is not filed.
        """
        if note is None:
            return
        key = f"ev-{len(self.evidence) + 1}"
        self.evidence.append(
            Evidence(
                id=key,
                query=note.query,
                scope=scope if note.scope is None else note.scope,
                window=window,
                says=note.says,
                data=note.data,
            )
        )
        self.values.update(note.data)
        self._origin.update(dict.fromkeys(note.data, key))

    def number(self, name: str) -> float | None:
        """A number by name, or None where it is not known."""
        value = self.values.get(name)
        return float(value) if isinstance(value, bool | int | float) else None

    def origin(self, name: str) -> str | None:
        """The evidence id that a number came from."""
        return self._origin.get(name)
