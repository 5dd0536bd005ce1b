"""What a person decides of a change at work: keep it longer, or call one settled that had called for a person."""

import getpass
from typing import Annotated

import typer

from agent.entrypoints.cmd_decide import Person, Reason, Yes, newest_plan
from agent.entrypoints.console import note, say
from agent.entrypoints.options import moment, options, utc_now
from agent.entrypoints.views import proposal_text
from agent.gateways import NotConfigured, open_gateways
from agent.settings import Settings
from agent.walk import effects
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.model.ports import Observed, Unreadable
from store.model.remedy import Action, Outcome, Proposal, Remedy, Ruling
from store.model.usage import iso


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(extend)
    app.command()(resolve)


def extend(
    context: typer.Context,
    remedy_id: Annotated[str, typer.Argument(metavar="ID")],
    until: Annotated[str | None, typer.Option(help="The new end, ISO 8601.")] = None,
    for_good: Annotated[bool, typer.Option("--for-good", help="No end any more: the change becomes yours.")] = False,
    person: Person = None,
    reason: Reason = "",
    yes: Yes = False,
) -> None:
    """Keep a change beyond its end: asks again, and as many people as its approval took must ask for the same end.

    At the guard its rule gets the new end.
    """
    if (until is None) == (not for_good):
        raise BadInput("extend: give --until TIME, or --for-good")
    ends = None if until is None else moment(until, option="--until")
    who = person or getpass.getuser()
    with options(context).ledger() as ledger:
        remedy, proposal = newest_plan(ledger, remedy_id)
        barred = _barred(ledger, remedy, proposal, who)
        if barred is not None:
            say(barred)
            raise typer.Exit(1)
        now_ends = "for good" if remedy.lease_ends_at is None else f"until {iso(remedy.lease_ends_at)}"
        note(proposal_text(proposal))
        note(f"  it is {remedy.state} and lasts {now_ends}; it would last {'for good' if ends is None else iso(ends)}")
        if not yes:
            typer.confirm(f"extend as {who}?", abort=True, err=True)
        cast = ledger.extend(remedy.remedy_id, by=who, until=ends, reason=reason)
    say(cast.says)
    if cast.status not in {"decided", "counted"}:
        raise typer.Exit(1)


def resolve(
    context: typer.Context,
    remedy_id: Annotated[str, typer.Argument(metavar="ID")],
    keep: Annotated[bool, typer.Option("--keep", help="What still stands there is yours from now on.")] = False,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="The gateway cannot be read, and you know what stands there; say it.")
    ] = False,
    person: Person = None,
    reason: Reason = "",
    yes: Yes = False,
) -> None:
    """Close a remedy that called for a person, after you settled it at the gateway; looks first, keeps what it saw."""
    who = person or getpass.getuser()
    if unseen and not reason:
        raise BadInput("resolve --unseen: say with --reason what stands at the gateway; it is kept in the audit log")
    opts = options(context)
    with opts.ledger() as ledger:
        remedy, proposal = newest_plan(ledger, remedy_id)
        if remedy.state != "paging":
            raise BadInput(f"{remedy_id} is {remedy.state}: nobody was called for it; `bursar status` lists those")
        barred = _barred(ledger, remedy, proposal, who, alone=keep)
        if barred is not None:
            say(barred)
            raise typer.Exit(1)
        outcome, saw = _seen(opts.settings, ledger, remedy, proposal, keep=keep, unseen=unseen)
        note(f"{proposal.playbook} for {proposal.scope.text} called for a person: {remedy.outcome}")
        note(f"  {saw}")
        if outcome is None:
            raise typer.Exit(1)
        if not yes:
            typer.confirm(f"close it as {outcome.replace('_', ' ')}, as {who}?", abort=True, err=True)
        cast = ledger.settle_by_hand(remedy.remedy_id, by=who, outcome=outcome, saw=saw, reason=reason)
    say(cast.says)
    if cast.status != "decided":
        raise typer.Exit(1)


def _barred(ledger: Ledger, remedy: Remedy, proposal: Proposal, who: str, *, alone: bool = False) -> str | None:
    """Why this person may not: the same list as for its approval; `alone`: and one word must be enough."""
    rulings = [one for one in ledger.rulings(remedy.remedy_id) if one.revision == remedy.revision]
    asked: Ruling | None = next((one for one in reversed(rulings) if one.phase == "proposal"), None)
    allowed = () if asked is None else tuple(one for one in asked.approvers if one != proposal.made_by)
    if who not in allowed:
        return f"{who} may not decide on it; those who may: {', '.join(allowed) or 'nobody (policy.approvers)'}."
    if alone and asked is not None and asked.quorum > 1:
        return f"It takes {asked.quorum} people to keep it: take it away at the gateway, and approve a new plan."
    return None


def _seen(
    settings: Settings, ledger: Ledger, remedy: Remedy, proposal: Proposal, *, keep: bool, unseen: bool
) -> tuple[Outcome | None, str]:
    """What the remedy can be closed as, and what stands at the gateway; None: it cannot be closed yet."""
    gateways = open_gateways(settings, ledger=ledger, clock=utc_now)
    gateway = NotConfigured(proposal.gateway) if gateways is None else gateways.named(proposal.gateway)
    try:
        found = [(action, gateway.observe(action)) for action in effects(proposal)]
    except Unreadable as error:
        blind = f"{proposal.gateway} could not be read: {error}"
        return (
            (_ended(remedy, "drifted"), blind) if unseen else (None, f"{blind}; mend that, or give --unseen --reason")
        )
    finally:
        if gateways is not None:
            gateways.close()
    saw = "; ".join(f"{action.kind} of {action.target.text} is {_words(seen)}" for action, seen in found)
    if found and all(seen.taken is not None and seen.taken.up for _, seen in found):
        return "made_permanent", "people have taken it up, and it stays"
    if any(_is_ours(action, seen, remedy) for action, seen in found):
        if keep:
            return "made_permanent", f"{saw}; kept for good"
        return None, f"{saw}: our change still stands; take it away there, or give --keep to make it yours"
    back = all(seen.value == action.was for action, seen in found)
    return _ended(remedy, "returned" if back else "drifted"), saw or "the plan changes no gateway"


def _is_ours(action: Action, seen: Observed, remedy: Remedy) -> bool:
    return seen.marker == remedy.remedy_id and seen.value == action.to


def _ended(remedy: Remedy, outcome: Outcome) -> Outcome:
    """What was refused before it was sent stays a failure; a revert that failed is over now."""
    return "failed" if remedy.outcome == "failed" and remedy.applied_at is None else outcome


def _words(seen: Observed) -> str:
    value = ", ".join(f"{name} {held}" for name, held in seen.value.items() if held is not None) or "not set"
    return f"{value} (by {seen.marker})" if seen.marker else value
