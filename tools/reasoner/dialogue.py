"""The turns of one review: what is sent, what an answer means, and how often a bad one is mended.

Roles alternate, and every tool_use of an answer gets its tool_result in the next turn, whatever is wrong with it.
An answer that cannot be sent back (cut off, empty, garbled) is left out, and the last turn says what was wrong.
"""

import json
from typing import Literal

from pydantic import ValidationError

from store.model.canonical import canonical_json
from store.model.transcript import ReviewOutcome
from tools.reasoner.caller import Caller
from tools.reasoner.extractor import extract
from tools.reasoner.inquiry import Answer, Diagnosis, Inquiry, Question
from tools.reasoner.reply import Failed, Reply
from tools.reasoner.schema import strict_schema

MOST_REPAIRS = 2
MOST_REPEATS = 3
MOST_ARGUMENTS = 4_000
"""Characters of one question's arguments."""

Block = dict[str, object]
Bad = Literal["cut", "empty", "malformed", "endless"]
_CACHED = {"type": "ephemeral"}


class Dialogue:
    """One review's conversation. `asked`: questions that were answered; `diagnosis`: the checked one, at the end."""

    def __init__(self, inquiry: Inquiry, caller: Caller, *, planner: str, extractor: str) -> None:
        self.asked = 0
        self.diagnosis: Diagnosis | None = None
        self._inquiry, self._caller, self._extractor = inquiry, caller, extractor
        self._questions = {question.name: question for question in inquiry.questions}
        self._system = [{"type": "text", "text": planner, "cache_control": _CACHED}]
        self._tools = [_tool(question) for question in inquiry.questions]
        self._format = {"type": "json_schema", "schema": strict_schema(Diagnosis)}
        self._turns: list[tuple[Literal["user", "assistant"], list[Block]]] = []
        self._news: list[Block] = []
        self._answers: dict[str, Answer] = {}
        self._known = set(inquiry.evidence)
        self._repairs = self._repeats = self._rejections = 0

    def hold(self) -> ReviewOutcome:
        """Talk until it ends; how it ended."""
        brief = self._caller.redactor.clean_all(json.loads(self._inquiry.brief))
        self._say([_text(json.dumps(brief))])
        steps = self._caller.settings.steps
        for step in range(1, steps + 1):
            last = step == steps
            if last and step > 1:
                self._say([_text("This is the last call: no more questions. Give your diagnosis now.")])
            news, self._news = self._news, []
            reply = self._caller.call("plan", self._request(last=last), news=news)
            if isinstance(reply, Failed):
                return reply.outcome
            outcome = self._take(reply)
            if outcome is not None:
                return outcome
        return "endless"

    def _request(self, *, last: bool) -> dict[str, object]:
        settings = self._caller.settings
        config: dict[str, object] = {"format": self._format}
        if settings.effort is not None:
            config["effort"] = settings.effort
        request: dict[str, object] = {
            "model": settings.model,
            "max_tokens": settings.answer_tokens,
            "system": self._system,
            "messages": self._messages(),
            "output_config": config,
            "service_tier": "standard_only",
        }
        if self._tools:
            request["tools"] = self._tools
            request["tool_choice"] = {"type": "none" if last else "auto"}
        return request

    def _messages(self) -> list[dict[str, object]]:
        """The turns so far; the end of the newest is the second breakpoint of the cache."""
        made: list[dict[str, object]] = [{"role": role, "content": list(blocks)} for role, blocks in self._turns]
        _, blocks = self._turns[-1]
        made[-1]["content"] = [*blocks[:-1], {**blocks[-1], "cache_control": _CACHED}]
        return made

    def _take(self, reply: Reply) -> ReviewOutcome | None:
        """What an answer means: the end of the review, or None to go on."""
        uses = [block for block in reply.content if block.get("type") == "tool_use"]
        match reply.stop_reason:
            case "refusal":
                return "refused"
            case "max_tokens" | "model_context_window_exceeded":
                return self._mend("cut", "Your answer was cut off. Ask fewer questions at once, and answer shorter.")
            case "tool_use" if uses:
                return self._answer_questions(reply, uses)
            case "end_turn" | "stop_sequence" if not uses:
                return self._weigh(reply)
            case _:
                return self._mend("malformed", "Your answer was neither a question nor a diagnosis.")

    def _mend(self, bad: Bad, words: str) -> ReviewOutcome | None:
        self._repairs += 1
        if self._repairs > MOST_REPAIRS:
            return bad
        self._say([_text(words)])
        return None

    def _weigh(self, reply: Reply) -> ReviewOutcome | None:
        written = "".join(str(block.get("text", "")) for block in reply.content if block.get("type") == "text").strip()
        if not written:
            return self._mend("empty", "Your answer was empty. Ask a question, or give your diagnosis.")
        try:
            found = Diagnosis.model_validate_json(written)
        except ValidationError as error:
            return self._mend("malformed", f"Your diagnosis is not in its form: {_problems(error)}")
        wrong = self._wrong(found)
        if wrong is None:
            self.diagnosis = found
            return "answered"
        self._rejections += 1
        if self._rejections > 1:
            return "rejected"
        self._turns.append(("assistant", reply.content))
        self._say([_text(f"Your diagnosis is rejected: {wrong} Give it once more, with evidence that exists.")])
        return None

    def _wrong(self, found: Diagnosis) -> str | None:
        named = [*found.evidence, *(one for ruled in found.ruled_out for one in ruled.evidence)]
        absent = sorted(set(named) - self._known)
        if absent:
            return f"no such evidence: {', '.join(absent[:10])}."
        if not found.evidence and found.cause != "unknown":
            return "a cause other than unknown needs evidence."
        if found.cause in {ruled.cause for ruled in found.ruled_out}:
            return f"{found.cause} cannot be the cause and ruled out."
        return None

    def _answer_questions(self, reply: Reply, uses: list[Block]) -> ReviewOutcome | None:
        if not _are_whole(uses):
            return self._mend("malformed", "Your questions had no name, arguments or id of their own.")
        before = len(self._answers)
        results: list[Block] = []
        failed = False
        for block in uses:
            text, wrong = self._answer(block)
            failed = failed or wrong
            results.append({"type": "tool_result", "tool_use_id": block["id"], "content": text, "is_error": wrong})
        self._turns.append(("assistant", reply.content))
        self._say(results)
        self._repeats += not failed and len(self._answers) == before
        if self._repeats >= MOST_REPEATS:
            return "endless"
        self._repairs += failed
        return "malformed" if self._repairs > MOST_REPAIRS else None

    def _answer(self, block: Block) -> tuple[str, bool]:
        """The text of one tool_result, and whether the question was at fault."""
        question = self._questions.get(str(block.get("name")))
        if question is None:
            return f"no such question; there are {', '.join(self._questions)}", True
        given = block.get("input")
        key = f"{question.name} {canonical_json(given) if _is_plain(given) else ''}"
        if key in self._answers:
            return _shown(self._answers[key], note="asked before; the answer is the same"), False
        if self.asked >= self._caller.settings.questions:
            return "no more questions can be asked: give your diagnosis", False
        if len(key) > MOST_ARGUMENTS:
            return f"the arguments are longer than {MOST_ARGUMENTS} characters", True
        try:
            arguments = question.arguments.model_validate(given)
        except ValidationError as error:
            return f"wrong arguments: {_problems(error)}", True
        self.asked += 1
        answer = self._label(question.ask(arguments))
        self._answers[key] = answer
        if answer.status != "error":
            self._known.add(answer.evidence_id)
        cleaned = self._caller.redactor.clean_all(json.loads(_shown(answer)))
        return json.dumps(cleaned), False

    def _label(self, answer: Answer) -> Answer:
        """With the extractor's labels in the place of text that came with the traffic."""
        if not answer.untrusted:
            return answer
        rows = extract(answer.untrusted, caller=self._caller, prompt=self._extractor)
        kept = {**answer.__dict__, "untrusted": ()}
        if rows is None:
            return Answer(**{**kept, "status": "error", "says": "the names could not be read"})
        return Answer(**{**kept, "rows": rows})

    def _say(self, blocks: list[Block]) -> None:
        """Add to the user's turn that is open, or open one."""
        self._news.extend(blocks)
        if self._turns and self._turns[-1][0] == "user":
            self._turns[-1][1].extend(blocks)
        else:
            self._turns.append(("user", list(blocks)))


def _tool(question: Question) -> Block:
    schema = strict_schema(question.arguments)
    return {"name": question.name, "description": question.description, "input_schema": schema, "strict": True}


def _are_whole(uses: list[Block]) -> bool:
    """Whether each can be sent back with its result: an id of its own, a name, an object as arguments."""
    ids = {str(block.get("id")) for block in uses}
    whole = all(
        isinstance(block.get("id"), str) and isinstance(block.get("name"), str) and isinstance(block.get("input"), dict)
        for block in uses
    )
    return whole and len(ids) == len(uses) and all(0 < len(one) <= 200 for one in ids)


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _shown(answer: Answer, *, note: str = "") -> str:
    shown = {name: value for name, value in answer.__dict__.items() if name != "untrusted"}
    return json.dumps({**shown, "note": note} if note else shown)


def _is_plain(value: object) -> bool:
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _problems(error: ValidationError) -> str:
    """Where and what, without repeating what was given: it may be anything."""
    found = [
        f"{'.'.join(str(part)[:40] for part in one['loc']) or '(all)'}: {one['msg'][:200]}" for one in error.errors()
    ]
    return "; ".join(found[:5])
