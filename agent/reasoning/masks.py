"""Opaque ids for every value that came with the traffic: a model that weighs causes never sees such text.

The ids of one review are numbered in the order in which values are met. Words of a closed list, ours and the
providers', stay readable: "speed.fast", "app.(none)".
"""

from store.model.usage import NONE, Scope

PLAIN: dict[str, frozenset[str]] = {
    "service_tier": frozenset({"standard", "priority", "batch", "flex", "default", "auto"}),
    "speed": frozenset({"standard", "fast"}),
    "status": frozenset({"ok", "error", "refused"}),
    "environment": frozenset({"prod", "production", "staging", "stage", "dev", "development", "test", "mixed"}),
    "provider": frozenset(
        {"anthropic", "openai", "google", "azure", "bedrock", "vertex_ai", "mistral", "cohere", "groq", "deepseek"}
    ),
    "operation": frozenset({"chat", "completion", "embeddings", "responses", "image", "audio", "rerank"}),
}
"""Values that may be shown as they are."""


class Masks:
    """Both directions of one review: values to ids, ids to values."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], str] = {}
        self._values: dict[str, tuple[str, str]] = {}
        self._tags: dict[str, str] = {}

    def id_of(self, dimension: str, value: str) -> str:
        """The id of a value; the same value of a dimension always has the same one."""
        key = (dimension, value)
        if key not in self._ids:
            name = self.name_of(dimension)
            if value == NONE or value in PLAIN.get(dimension, ()):
                made = f"{name}.{value}"
            else:
                met = sum(1 for of, _ in self._ids if of == dimension)
                made = f"{name}#{met + 1}"
            self._ids[key], self._values[made] = made, key
        return self._ids[key]

    def name_of(self, dimension: str) -> str:
        """A dimension's name; that of a tag came with the traffic too."""
        if not dimension.startswith("tags."):
            return dimension
        return self._tags.setdefault(dimension, f"tag{len(self._tags) + 1}")

    def scope(self, scope: Scope) -> dict[str, str]:
        """A scope by names and ids."""
        return {self.name_of(name): self.id_of(name, value) for name, value in scope.dims}

    def names(self) -> dict[str, str]:
        """What each opaque id stands for, in the order in which they were met."""
        return {made: value for made, (_, value) in self._values.items() if "#" in made}

    def value_of(self, opaque: str) -> tuple[str, str] | None:
        """(dimension, value) of an id of this review, or None."""
        return self._values.get(opaque)
