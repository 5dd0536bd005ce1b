"""What the seeded company is made of: apps, the traffic that each has, and how its client answers a gateway's rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from store.model.usage import NONE, Scope

Rhythm = Literal["office", "consumer", "global", "nightly", "weekly"]
Caching = Literal["none", "5m", "1h", "automatic"]
"""`automatic`: the provider caches by itself and writes are free (OpenAI before GPT-5.6)."""


@dataclass(frozen=True)
class Client:
    """What an app does when the gateway does not simply answer.

    `on_refusal`: "drop" gives up on that call; "hammer" sends it again at once, `hammers` times; "fresh_session"
    opens a new session and goes on. `fails_on`: by model, the share of calls that cannot work when a rule has them
    answered by it (they have come to need what it lacks); those are tried again `hammers` times. `stable_share`: how
    much of the prefix a breakpoint that the gateway sets can cache where the app sets none.
    """

    on_refusal: Literal["drop", "hammer", "fresh_session"] = "drop"
    hammers: int = 2
    fails_on: Mapping[str, float] = field(default_factory=dict)
    stable_share: float = 0.9


@dataclass(frozen=True)
class AppSpec:
    """One app: who it is, when it is busy and what one call of it looks like.

    `peak`: mean requests in its busiest hour. `burst`: the size parameter of the negative binomial counts (small
    means bursty). Token counts are lognormal (`*_median`, `*_sigma`). `turns`: shortest and longest session;
    `context_growth`: tokens that each turn adds to the next one's input. `prefix_tokens`: system prompt and tools.
    """

    team: str
    name: str
    model: str
    peak: float
    provider: str = "anthropic"
    environment: str = "production"
    rhythm: Rhythm = "office"
    weekend: float = 0.15
    burst: float = 12.0
    keys: tuple[str, ...] = ()
    route: str = "chat"
    users: int = 40
    turns: tuple[int, int] = (1, 1)
    turn_seconds: float = 25.0
    context_growth: int = 0
    input_median: float = 1500.0
    input_sigma: float = 0.5
    output_median: float = 350.0
    output_sigma: float = 0.5
    reasoning_share: float = 0.0
    prefix_tokens: int = 0
    caching: Caching = "none"
    repeats: float = 0.02
    errors: float = 0.008
    region: str = "us-east-1"
    tools: int = 0
    job: str = NONE
    deploy_day: int = 1
    """Day of the week (Monday is 0) on which a release goes out, at 10:00 UTC."""
    client: Client = field(default_factory=Client)

    @property
    def scope(self) -> Scope:
        """Its part of the traffic."""
        return Scope.of(team=self.team, app=self.name)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The gateway keys that it uses."""
        return self.keys or (f"key-{self.name}",)

    @property
    def mean_turns(self) -> float:
        """The mean length of its sessions."""
        return sum(self.turns) / 2
