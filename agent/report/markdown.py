"""The summary as plain Markdown that reads well in Slack, on GitHub and in a mail."""

from collections.abc import Iterable, Sequence

from agent.report.escape import SENTENCE_CHARS, markdown
from agent.report.view import EXPECTED_NOTE, LOST_NOTE, IncidentCard, RemedyCard, View


def render(view: View, *, picture: str | None = None) -> str:
    """The whole summary; `picture` is the address of the chart, relative to the file."""
    blocks = [
        f"# Weekly incident summary: {view.title}",
        f"{_safe(view.story)}",
        _list(f"**{one.label}** {one.value} ({one.note})" for one in view.figures),
        f"![{_safe(view.chart_says)}]({picture})" if picture else "",
        _overview(view.incidents),
        *(_incident(card, view.zone) for card in view.incidents),
        _section("Waiting for a person", view.waiting),
        _section("Still open", view.still_open),
        _section("Budgets", view.budgets),
        _section("How far to trust this", view.trust),
        _teams(view),
        _footer(view),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _safe(text: str) -> str:
    return markdown(text, limit=2 * SENTENCE_CHARS)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _section(title: str, items: Sequence[str]) -> str:
    return f"## {title}\n\n{_list(_safe(item) for item in items)}" if items else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int]) -> str:
    """A table whose columns also line up where it is read as plain text."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        placed = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(placed)} |"

    rule = [("-" * (width - 1) + ":") if column in right else "-" * width for column, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])


def _overview(cards: Sequence[IncidentCard]) -> str:
    if not cards:
        return ""
    rows = [
        (str(card.number), card.title, _safe(card.scope), card.lost, card.avoided, _safe(card.decided))
        for card in cards
    ]
    head = ("No", "Cause", "Where", "Above baseline", "Avoided", "Decided by")
    return "## Incidents\n\n" + _table(head, rows, right=frozenset({0, 3, 4}))


def _incident(card: IncidentCard, zone: str) -> str:
    facts = [
        f"**Where** {_safe(card.scope)} ({card.status})",
        f"**Cost** {card.lost} above the baseline. {card.before_after}; {card.avoided} avoided",
        f"**Cause** {card.title}, {card.confidence}: {_safe(card.because)}",
        f"**Drivers** {', '.join(f'{bar.name} {bar.amount}' for bar in card.drivers)}" if card.drivers else "",
        f"**Trail** {_trail(card, zone)}",
        *(f"**Remedy** {_remedy(remedy)}" for remedy in card.remedies),
        f"**Note** {_safe(card.aside)}" if card.aside else "",
    ]
    return f"### {card.number}. {card.title}\n\n" + _list(fact for fact in facts if fact)


def _trail(card: IncidentCard, zone: str) -> str:
    steps = [
        f"{one.step.lower()} {one.after}" if one.after else f"{one.step.lower()} {one.at} ({zone})"
        for one in card.trail
    ]
    return ", ".join(steps)


def _remedy(card: RemedyCard) -> str:
    measured = f"{card.measured}, {card.interval}" if card.measured else f"{card.expected} expected, not measured"
    parts = (
        f"{_safe(card.what)}: {card.status}",
        f"Verdict {_safe(card.verdict)}; decided by {_safe(card.decided)}",
        measured,
        _safe(card.note) if card.note else "",
    )
    return ". ".join(part.rstrip(".") for part in parts if part) + "."


def _teams(view: View) -> str:
    if not view.teams:
        return ""
    if any(row.cash for row in view.teams):
        # The rest of it is list value of what seats, commitments or capacity pay for.
        cash_rows = [(_safe(row.team), row.now, row.cash or row.now, row.before, row.change) for row in view.teams]
        head = ("Team", "This week", "Marginal cash", "Week before", "Change")
        return "## Spend by team\n\n" + _table(head, cash_rows, right=frozenset({1, 2, 3, 4}))
    rows = [(_safe(row.team), row.now, row.before, row.change) for row in view.teams]
    return "## Spend by team\n\n" + _table(
        ("Team", "This week", "Week before", "Change"), rows, right=frozenset({1, 2, 3})
    )


def _footer(view: View) -> str:
    audit = f" Audit head {view.audit_head}." if view.audit_head else ""
    return (
        f"Times are in {view.zone}; this covers {view.period}. Mode {view.mode}. {LOST_NOTE} {EXPECTED_NOTE} "
        f"Made {view.made}.{audit}"
    )
