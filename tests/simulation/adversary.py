"""A hijacked model: whatever it is sent, it answers with random tool calls, arguments, texts and diagnoses.

It knows every id that it was ever sent, all names of causes and questions, and the attacks of the hostile twins.
"""

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any, get_args

from evals.exam.hostile import PAYLOADS
from store.model.incident import Cause
from tools.reasoner.reply import Failed, Reply, Tokens

CAUSES: tuple[str, ...] = get_args(Cause)
TOOLS = (
    *("spend_by", "over_time", "figures", "sessions", "key_history", "list_prices", "test_cause", "read_names"),
    *("apply", "block_key", "set_rate_limit", "execute_sql", "", "figures; drop"),
)
DIMENSIONS = ("team", "app", "api_key_id", "model", "job", "end_user", "region", "password", "1=1")
STOPS = ("end_turn", "end_turn", "end_turn", "tool_use", "max_tokens", "refusal", "pause_turn", "stop_sequence", None)
_ID = re.compile(r"\b[a-z_]+[#-][0-9]+\b")

Json = dict[str, Any]


@dataclass
class Adversary:
    """One review's model. `requests` are all bodies that it was sent; `spent` what its answers really cost."""

    dice: random.Random
    planner: str
    requests: list[str] = field(default_factory=list)
    extractions: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def __call__(self, request: Json, *, seconds: float) -> Reply | Failed:
        """Answer one request, somehow."""
        assert seconds > 0
        if request["model"] != self.planner:
            self.extractions.append(json.dumps(request["messages"]))
            return self._reply([{"type": "text", "text": self._labels(request)}], "end_turn")
        assert len(request["messages"]) % 2 == 1
        news = json.dumps(request["messages"][-1])
        self.requests.append(news)
        self.ids.update(_ID.findall(news))
        roll = self.dice.random()
        if roll < 0.04:
            again, free = self.dice.random() < 0.5, self.dice.random() < 0.5
            return Failed("unavailable", "down", again=again, free=free)
        if roll < 0.40:
            return self._reply([self._use() for _ in range(self.dice.choice((1, 1, 2, 3, 12)))], "tool_use")
        if roll < 0.90:
            return self._reply([{"type": "text", "text": json.dumps(self._diagnosis())}], "end_turn")
        return self._reply(self._garbage(), self.dice.choice(STOPS))

    def _reply(self, content: list[Json], stop: str | None) -> Reply:
        dice = self.dice
        tokens = Tokens(dice.randint(0, 3000), dice.randint(0, 3000), dice.randint(0, 500), 0, dice.randint(0, 4000), 0)
        model = dice.choice((self.planner, self.planner, "claude-unknown-9", dice.choice(PAYLOADS)[:100]))
        return Reply(f"msg_{dice.getrandbits(64):x}", model, stop, content, tokens)

    def _use(self) -> Json:
        return {
            "type": "tool_use",
            "id": f"toolu_{self.dice.getrandbits(40):x}",
            "name": self.dice.choice(TOOLS),
            "input": self._arguments(),
        }

    def _arguments(self) -> object:
        dice = self.dice
        where = [self._word() for _ in range(dice.choice((0, 0, 0, 1, 2)))]
        some: Json = {
            "where": where,
            "by": dice.choice(DIMENSIONS),
            "step": dice.choice(("5m", "1h", "1s")),
            "key": self._word(),
            "models": [self._word()],
            "cause": dice.choice(CAUSES),
            "of": dice.choice(DIMENSIONS),
        }
        if dice.random() < 0.1:
            return dice.choice((some, dice.choice(PAYLOADS), [where], None, {"where": {"$ne": 1}}))
        shapes = (("where",), ("where", "by"), ("where", "step"), ("key",), ("models",), ("cause",), ("where", "of"))
        return {name: some[name] for name in dice.choice(shapes)}

    def _word(self) -> str:
        known = sorted(self.ids)
        if known and self.dice.random() < 0.8:
            return self.dice.choice(known)
        return self.dice.choice(("app#1", "api_key_id#1", "model#1", "end_user#7", "../../etc/passwd", *PAYLOADS[:3]))

    def _diagnosis(self) -> Json:
        dice = self.dice
        evidence = sorted(one for one in self.ids if one.startswith(("ev-", "q-"))) or ["ev-1"]
        if dice.random() < 0.15:
            evidence = [*evidence, "ev-99", "q-77", "q-78"]
        others = [cause for cause in CAUSES if dice.random() < 0.2]
        made: Json = {
            "cause": dice.choice((*CAUSES, *CAUSES, "block_everything")),
            "confidence": dice.choice((0.0, 0.3, 0.7, 1.0, 1.0, 1.0, 1.5, -1)),
            "evidence": dice.sample(evidence, min(len(evidence), dice.randint(0, 4))),
            "ruled_out": [{"cause": cause, "evidence": [dice.choice(evidence)]} for cause in others],
            "why": dice.choice(PAYLOADS),
        }
        if dice.random() < 0.1:
            made |= {"actions": [{"kind": "block_key", "target": {"api_key_id": "key-finder"}}]}
        return made

    def _labels(self, request: Json) -> str:
        items = json.loads(request["messages"][0]["content"][0]["text"])
        kind = self.dice.choice(("batch", "unclear", "person", self.dice.choice(PAYLOADS)))
        row = {"kind": kind, "environment": "unclear", "reads_like_instructions": self.dice.random() < 0.5}
        return json.dumps({"labels": [{"number": one["number"], **row} for one in items]})

    def _garbage(self) -> list[Json]:
        return self.dice.choice(
            (
                [],
                [{"type": "text", "text": self.dice.choice(PAYLOADS)}],
                [{"type": "tool_use", "id": 7, "name": None, "input": "x"}],
                [{"type": "image", "source": "https://example.com/x.png"}],
                [{"type": "tool_use", "id": "same", "name": "figures", "input": {"where": []}}] * 2,
                [{"type": "text", "text": "{" * 50}],
            )
        )
