"""The catalogue of playbooks as a document, docs/playbooks.md, out of their docstrings."""

import inspect
import sys

from pydantic.fields import FieldInfo

from playbooks.playbook import Playbook
from playbooks.registry import PLAYBOOKS

_HEAD = """\
# Playbooks

Generated from the playbooks' docstrings (`python -m playbooks.catalogue > docs/playbooks.md`); a test holds it to them.

A playbook turns a finding into a plan: what to set, what it should save a day (low, mid and high, from a replay of the
scope's own recorded requests; list value and cash), what it may cost in quality, how it is undone, and how its effect
is checked. When several fit, they are ranked by expected net benefit:

    counted  = min(saving, excess) x uptake            uptake: 1 at a gateway, 0.3 where people must follow advice
    net      = counted x confidence                    what is won when the cause is right
             - counted x confidence x quality_cost     worse answers, even then
             - counted x (1 - confidence) x harm_if_wrong   good requests refused, when the cause is wrong

What a gateway can do and is worth something comes first; advice to people goes beside it and does not compete.
A saving beyond the incident's excess does not count: it would be taken from traffic with which nothing is wrong. The
losing plans stay on the incident with the reason (`bursar incidents ID --json`, `alternatives_not_put_forward`), and
doing nothing (`notify`, worth 0) is always one of them.

A saving is that of the next day: what the replay says of the incident's hours, at the size that requests have in the
week before and in the number that is normal for the day to come, unless the incident's hours were clearly busier or
quieter than chance explains. Nine in ten such days lie between `low` and `high`; where there is no week before they are
the window's weakest and strongest third. `low` is no more than the cautious reading: refused callers try again, a
stopped task is begun once more, another tokenizer counts a tenth more.

Parameters are set in bursar.yaml, within their bounds:

    playbooks:
      session_cap: {multiple: 3}
      cache_repair: {repository: acme/assistant}
      model_downgrade:
        task: support
        canary_percent: 50
        quality:
          - {model: claude-haiku-4-5, task: support, score: 88, effective_from: 2026-10-01, source: our-evals}
          - {model: claude-sonnet-4-6, task: support, score: 91, effective_from: 2026-10-01, source: our-evals}

`model_downgrade` compares the scores of one source and task that are in force; shipped are the public results of
Aider's polyglot and refactoring boards (`playbooks/quality.csv`). Without a score a smaller model is taken to lose
30 %.
"""


def catalogue() -> str:
    """The whole document."""
    rows = [
        f"| [{p.name}](#{p.name}) | {', '.join(_causes(p))} | {', '.join(p.kinds)} | {p.risk} | {p.quality_cost:g} |"
        f" {p.harm_if_wrong:g} | {p.uptake:g} |"
        for p in PLAYBOOKS
    ]
    table = [
        "| playbook | causes | actions | risk | quality_cost | harm_if_wrong | uptake |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]
    return "\n".join([_HEAD, *table, "", *(_entry(playbook) for playbook in PLAYBOOKS)])


def _causes(playbook: Playbook) -> list[str]:
    return ["every cause"] if playbook.name == "notify" else list(playbook.causes)


def _entry(playbook: Playbook) -> str:
    text = inspect.cleandoc(type(playbook).__doc__ or "")
    rows = [f"| `{name}` | {_default(field)} | {_bounds(field)} |" for name, field in _fields(playbook)]
    table = ["| parameter | default | bounds |", "|---|---|---|", *rows]
    return "\n".join([f"## {playbook.name}", "", text, "", *table, ""])


def _fields(playbook: Playbook) -> list[tuple[str, FieldInfo]]:
    return list(playbook.params.model_fields.items())


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "none" if value is None or value in ("", ()) else f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(field: FieldInfo) -> str:
    names = ("ge", "le", "max_length")
    limits = {name: getattr(rule, name) for rule in field.metadata for name in names if hasattr(rule, name)}
    if "ge" in limits:
        return f"{_number(limits['ge'])} to {_number(limits['le'])}"
    return f"at most {limits['max_length']:,} long"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


if __name__ == "__main__":
    sys.stdout.write(catalogue())
