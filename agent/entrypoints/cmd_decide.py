"""Incidents, remedies, and the decisions on them: the same rows that a Slack thread writes."""

import getpass
from collections.abc import Sequence
from typing import Annotated

import typer

from agent.entrypoints.console import note, print_json, print_table, say
from agent.entrypoints.options import Options, options, utc_now
from agent.entrypoints.transcripts import show_transcripts
from agent.entrypoints.views import incident_document, proposal_text, remedy_document, saved_text, undoing_text
from agent.savings import History, by_team, histories, track_record
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.model.money import to_usd, usd_text
from store.model.remedy import Choice, Proposal, Remedy, Vote
from store.model.usage import iso

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]
Person = Annotated[
    str | None, typer.Option("--as", help="Who decides; default your login name. Must be an approver of the policy.")
]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit log.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(incidents)
    app.command()(remedies)
    app.command()(approve)
    app.command()(reject)
    app.command()(revert)
    app.command("kill-switch")(kill_switch)


def incidents(
    context: typer.Context,
    incident_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="What was sent to a model about it, and what it answered.")
    ] = False,
    json: Json = False,
) -> None:
    """List incidents, or show one with its finding, drivers, evidence and remedies."""
    with options(context).ledger() as ledger:
        if transcript:
            show_transcripts(ledger, incident_id, json=json)
            return
        if incident_id is not None:
            _show_incident(ledger, incident_id, json=json)
            return
        found = ledger.incidents()
        if json:
            print_json([incident_document(ledger, incident) for incident in found])
            return
        rows = []
        for incident in found:
            finding = ledger.finding(incident.id)
            cause = f"{finding.cause} {finding.confidence:.0%}" if finding else "not investigated yet"
            excess = usd_text(incident.excess_nanos)
            rows.append([incident.id, incident.status, iso(incident.started_at), incident.scope.text, excess, cause])
        print_table(["incident", "status", "started", "scope", "excess", "cause"], rows, empty="no incidents")


def _show_incident(ledger: Ledger, incident_id: str, *, json: bool) -> None:
    incident = ledger.incident(incident_id)
    if incident is None:
        raise BadInput(f"no incident {incident_id!r}; `bursar incidents` lists them")
    if json:
        print_json(incident_document(ledger, incident))
        return
    baseline, excess = usd_text(incident.baseline_nanos), usd_text(incident.excess_nanos)
    say(f"{incident.id}  revision {incident.revision}  {incident.status}  {incident.scope.text}")
    say(f"since {iso(incident.started_at)}, seen {iso(incident.opened_at)}: {excess} above a baseline of {baseline}")
    finding = ledger.finding(incident_id)
    if finding is None:
        say("not investigated yet")
        return
    for cause in finding.causes[:3]:
        say(f"  {cause.cause} {cause.confidence:.0%}  {cause.because}")
    if finding.review:
        say(f"  {finding.review} It cost ${to_usd(finding.cost_nanos):.4f}; --transcript shows what was said.")
    say(f"drivers of {usd_text(finding.excess_nanos)} (they add up to it):")
    for share in finding.drivers:
        say(f"  {usd_text(share.nanos):>14}  {share.driver}")
    say("evidence:")
    for evidence in finding.evidence:
        say(f"  {evidence.id}  {evidence.query}: {evidence.says}")
    for proposal in ledger.proposals(incident_id):
        remedy = ledger.remedy(proposal.remedy_id)
        state = f"{remedy.state}, {remedy.outcome or 'no outcome yet'}" if remedy else "unknown"
        say(f"remedy {proposal.remedy_id}@{proposal.revision} ({state})")
        say(proposal_text(proposal))


def remedies(
    context: typer.Context, remedy_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None, json: Json = False
) -> None:
    """List remedies with state, outcome, and the saving expected and measured.

    Then what was saved for each team, and how far each playbook's estimates came true.
    """
    with options(context).ledger() as ledger:
        found = [r for r in ledger.remedies() if remedy_id in (None, r.remedy_id)]
        if remedy_id is not None and not found:
            raise BadInput(f"no remedy {remedy_id!r}; `bursar remedies` lists them")
        documents = [remedy_document(ledger, remedy) for remedy in found]
        past = histories(ledger) if remedy_id is None else []
        windows = [] if remedy_id is None else ledger.verifications(remedy_id)
    if json:
        print_json(documents)
        return
    for d in documents:
        stands = str(d["outcome"]) if d["state"] == "closed" else f"{d['state']} {d['outcome'] or ''}".rstrip()
        say(f"{d['id']}@{d['revision']}  {stands}  {d['playbook']}  {d['scope_text']}")
        say(f"    expected {d['expected_text']} a day; saved: {d['saved_text']}")
    for one in windows:
        say(f"    {iso(one.window.start)} to {iso(one.window.end)}  {one.outcome}: {one.says}")
    if not documents:
        say("no remedies")
    _sums(past)


def _sums(past: Sequence[History]) -> None:
    """What was saved for whom, and how far estimates came true."""
    teams = [[team, saved_text(saved)] for team, saved in by_team(past).items()]
    records = [[name, str(one.judged), f"{one.came_true:.0%}"] for name, one in track_record(past).items()]
    for columns, rows in ((["team", "saved"], teams), (["playbook", "judged", "estimates came true"], records)):
        if rows:
            say("")
            print_table(columns, rows, empty="")


def approve(context: typer.Context, remedy: str, person: Person = None, reason: Reason = "", yes: Yes = False) -> None:
    """Approve REMEDY@REVISION: shows what would change and what it should save, asks once."""
    _vote(options(context), remedy, "approve", person=person, reason=reason, yes=yes)


def reject(context: typer.Context, remedy: str, person: Person = None, reason: Reason = "", yes: Yes = False) -> None:
    """Reject REMEDY@REVISION; nothing is applied."""
    _vote(options(context), remedy, "reject", person=person, reason=reason, yes=yes)


def _vote(opts: Options, name: str, choice: Choice, *, person: str | None, reason: str, yes: bool) -> None:
    who = person or getpass.getuser()
    with opts.ledger() as ledger:
        proposal = _named_proposal(ledger, name)
        note(proposal_text(proposal))
        if not yes:
            typer.confirm(f"{choice} as {who}?", abort=True, err=True)
        vote = Vote(
            remedy_id=proposal.remedy_id,
            revision=proposal.revision,
            person=who,
            choice=choice,
            at=utc_now(),
            reason=reason,
            via="cli",
        )
        cast = ledger.cast(vote)
    say(cast.says)
    if cast.status not in {"decided", "counted"}:
        raise typer.Exit(1)


def _named_proposal(ledger: Ledger, name: str) -> Proposal:
    remedy_id, _, revision = name.partition("@")
    if not revision.isdecimal():
        raise BadInput(
            f"{name!r}: write REMEDY@REVISION as `bursar remedies` shows it, so that a newer plan is not meant"
        )
    proposal = ledger.proposal(remedy_id, int(revision))
    if proposal is None:
        raise BadInput(f"no remedy {name!r}; `bursar remedies` lists them")
    return proposal


def newest_plan(ledger: Ledger, name: str) -> tuple[Remedy, Proposal]:
    """A remedy and its newest plan by its id; a revision behind it is passed over.

    Raises:
        BadInput: there is none.
    """
    remedy = ledger.remedy(name.partition("@")[0])
    proposal = None if remedy is None else ledger.proposal(remedy.remedy_id, remedy.revision)
    if remedy is None or proposal is None:
        raise BadInput(f"no remedy {name!r}; `bursar remedies` lists them")
    return remedy, proposal


def revert(
    context: typer.Context,
    remedy_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every remedy that is in force.")] = False,
    person: Person = None,
    reason: Reason = "undone by a person",
    yes: Yes = False,
) -> None:
    """Take a remedy back: shows what comes back, asks once; the service restores the value that there was before."""
    if (remedy_id is None) == (not all_):
        raise BadInput("name one remedy, or give --all; `bursar remedies` lists those in force")
    who = person or getpass.getuser()
    with options(context).ledger() as ledger:
        in_force = [r.remedy_id for r in ledger.remedies(states={"verifying", "kept", "unknown"})]
        plans = [newest_plan(ledger, one) for one in (in_force if remedy_id is None else [remedy_id])]
        chosen = [remedy.remedy_id for remedy, _ in plans]
        if not chosen:
            say("no remedy is in force")
            return
        for _, proposal in plans:
            note(undoing_text(proposal))
        if not yes:
            typer.confirm(f"revert {', '.join(chosen)} as {who}?", abort=True, err=True)
        casts = [ledger.request_revert(one, by=who, reason=reason) for one in chosen]
    for cast in casts:
        say(cast.says)
    if any(cast.status != "decided" for cast in casts):
        raise typer.Exit(1)


def kill_switch(
    context: typer.Context,
    position: Annotated[str, typer.Argument(metavar="on|off|status")] = "status",
    person: Person = None,
    reason: Reason = "",
) -> None:
    """Stop every new effect at once (on), allow them again (off), or say which it is."""
    if position not in {"on", "off", "status"}:
        raise BadInput(f"kill-switch {position!r}: write on, off or status")
    with options(context).ledger() as ledger:
        if position != "status":
            ledger.set_kill_switch(position == "on", by=person or getpass.getuser(), reason=reason)
        say(f"kill switch: {'on, nothing new is applied' if ledger.kill_switch() else 'off'}")
