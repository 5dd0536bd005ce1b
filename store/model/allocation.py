"""Allocation: whose spend it is. Rules name the team, app and environment of usage; shares split what is shared.

A rule looks at what a record's source says of it. The first rule that matches holds, and its word replaces what the
record had: the operator's configuration knows better than a client's text. What a rule does not set stays.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fnmatch import translate
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from store.model.usage import NONE, RECORD_DIMENSIONS, Scope

ALLOCATED = ("team", "app", "environment")
"""The dimensions that rules set."""


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AllocationRule(_Noun):
    """Records that match all of `when` belong to the team, app and environment that the rule names."""

    when: dict[str, str] = Field(min_length=1)
    """By dimension, or "tags.NAME", or "source": the value, with * and ? as wildcards; "(none)" where it has none."""
    team: str | None = Field(default=None, min_length=1, max_length=512)
    app: str | None = Field(default=None, min_length=1, max_length=512)
    environment: str | None = Field(default=None, min_length=1, max_length=512)

    @model_validator(mode="after")
    def _usable(self) -> "AllocationRule":
        for name in self.when:
            if name not in RECORD_DIMENSIONS and not name.startswith("tags."):
                raise ValueError(f"unknown dimension {name!r}; known: {', '.join(RECORD_DIMENSIONS)}, tags.NAME")
        if not self.sets:
            raise ValueError("a rule sets at least one of team, app, environment")
        return self

    @cached_property
    def sets(self) -> dict[str, str]:
        """What it sets, by dimension."""
        named = {"team": self.team, "app": self.app, "environment": self.environment}
        return {name: value for name, value in named.items() if value is not None}

    @cached_property
    def _conditions(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((name, re.compile(translate(pattern))) for name, pattern in self.when.items())

    def matches(self, said: Mapping[str, str]) -> bool:
        """Whether usage of which that is said is what the rule is about; what is not said is "(none)"."""
        return all(pattern.match(said.get(name, NONE)) for name, pattern in self._conditions)


SplitMethod = Literal["even", "requests", "tokens", "fixed"]
"""even: all alike. requests, tokens: in proportion to each target's own usage of that day. fixed: as stated."""


class SharedCost(_Noun):
    """Usage that several teams share: its cost is split among them in reports; the records stay as they are."""

    name: str = Field(min_length=1, max_length=200)
    """FOCUS AllocatedMethodId."""
    scope: Scope
    """What is shared: {api_key_id: sk-shared}."""
    method: SplitMethod
    among: tuple[str, ...] = ()
    """Teams; for even, requests and tokens."""
    shares: dict[str, Decimal] = {}
    """For fixed: each team's weight."""

    @model_validator(mode="after")
    def _stated(self) -> "SharedCost":
        if self.method == "fixed":
            if not self.shares or self.among or any(not 0 < share <= 10**6 for share in self.shares.values()):
                raise ValueError(
                    f"shared cost {self.name!r}: method fixed needs `shares: {{team: weight}}`, all above 0"
                )
        elif not self.among or self.shares or len(set(self.among)) != len(self.among):
            raise ValueError(f"shared cost {self.name!r}: method {self.method} needs `among: [team, ...]`, each once")
        if "team" in self.scope.as_dict():
            raise ValueError(f"shared cost {self.name!r}: a team's own usage is not shared; name a key, project or app")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The teams that share it."""
        return tuple(self.shares) if self.method == "fixed" else self.among

    def weights(self, used: Mapping[str, int]) -> tuple[Decimal, ...]:
        """One for each target; `used` is what each used of its own. Where nobody used anything all weigh alike."""
        if self.method == "fixed":
            return tuple(self.shares.values())
        own = tuple(Decimal(used.get(team, 0)) for team in self.among)
        if self.method == "even" or not any(own):
            return tuple(Decimal(1) for _ in self.among)
        return own


class Allocation(_Noun):
    """Everything that says whose spend it is."""

    rules: tuple[AllocationRule, ...] = ()
    shared: tuple[SharedCost, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> "Allocation":
        for at, one in enumerate(self.shared):
            for other in self.shared[:at]:
                if one.name == other.name or one.scope.overlaps(other.scope):
                    raise ValueError(f"shared costs {other.name!r} and {one.name!r} overlap: a dollar is split once")
        return self


def split(nanos: int, weights: Sequence[Decimal]) -> list[int]:
    """Whole nano-USD in proportion to the weights that add up to all of it (largest remainders; first wins a tie).

    At least one weight is above zero. Amounts below zero are split as those above it.
    """
    if nanos < 0:
        return [-part for part in split(-nanos, weights)]
    exact = [int(weight.scaleb(12)) for weight in weights]
    whole = sum(exact)
    floors = [nanos * weight // whole for weight in exact]
    largest = sorted(range(len(exact)), key=lambda at: (-(nanos * exact[at] % whole), at))
    for at in largest[: nanos - sum(floors)]:
        floors[at] += 1
    return floors
