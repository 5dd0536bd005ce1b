"""What a case of the exam is: one pattern at one strength beside one confounder, under a name that tells nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evals.world.faults.fault import Fault
from store.model.incident import Cause
from store.model.usage import Window

Confounder = Literal["none", "weekly", "launch", "noise"]
"""`weekly`: a batch that runs at this hour every week; `launch`: a launch in another team; `noise`: a burstier app."""
CONFOUNDERS: tuple[Confounder, ...] = ("none", "weekly", "launch", "noise")

Strength = Literal["weak", "medium", "strong"]
STRENGTHS: tuple[Strength, ...] = ("weak", "medium", "strong")

Tag = Literal["easy", "medium", "hard"]

Money = Literal["listed", "dearer", "free", "inflated"]
"""What the money says of the app's model from the onset on: its list price; a list price that rose; nothing, for a
part of the calls; many times the list price, while the bill is as before. The last three have the factor as size."""

MakeFault = Callable[[str, Window, float], Fault]


@dataclass(frozen=True)
class Pattern:
    """A kind of incident: the apps that it may befall, the hour of the day at which it begins, three sizes.

    `fault` makes the traffic of it from (app, window, size); None: the traffic stays and the money changes.
    """

    number: int
    cause: Cause
    apps: tuple[str, ...]
    begins: int
    sizes: tuple[float, float, float]
    fault: MakeFault | None = None
    money: Money = "listed"
    hours: int = 8


@dataclass(frozen=True)
class Case:
    """One question of the exam."""

    pattern: Pattern
    strength: Strength
    confounder: Confounder

    @property
    def name(self) -> str:
        """Neutral: digits for the pattern, the strength and the confounder."""
        return f"case-{self.pattern.number:02d}{STRENGTHS.index(self.strength)}{CONFOUNDERS.index(self.confounder)}"

    @property
    def size(self) -> float:
        """The pattern's size at this strength."""
        return self.pattern.sizes[STRENGTHS.index(self.strength)]

    @property
    def tag(self) -> Tag:
        """How hard it should be: a strong one alone must always pass."""
        if self.strength == "strong":
            return "easy" if self.confounder == "none" else "medium"
        return "medium" if self.strength == "medium" and self.confounder == "none" else "hard"
