"""`bursar policy` and `bursar playbooks`: what Bursar may do, and what it knows to do."""

from typing import Annotated

import typer

from agent.entrypoints.console import print_json, print_table, say
from agent.entrypoints.options import options, utc_now
from agent.guard import guard_gateway
from agent.policy import explain as explain_policy
from agent.steps.rule import gather_facts
from agent.steps.trust import trust
from playbooks.registry import PLAYBOOKS
from store.errors import BadInput

policy = typer.Typer(help="The approval policy.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(policy, name="policy")
    app.command()(playbooks)


@policy.command()
def check(context: typer.Context) -> None:
    """Read the policy, and list its rules in the order in which they are tried."""
    found = options(context).settings.policy
    say(f"mode {found.mode}: {_MODES[found.mode]}")
    rows = [
        [str(i), rule.name, rule.when.model_dump_json(exclude_defaults=True), rule.verdict]
        for i, rule in enumerate(found.rules, 1)
    ]
    print_table(["", "rule", "when", "verdict"], rows, empty="no rules")
    say("no rule matches: ask")
    say(f"limits: {found.limits.model_dump_json(exclude_defaults=True)}")


_MODES = {
    "shadow": "everything is only recorded; nothing is asked and nothing applied",
    "ask": "people decide everything",
    "auto": "rules with the verdict apply are carried out without asking",
}


@policy.command()
def explain(
    context: typer.Context,
    remedy: Annotated[str, typer.Argument(help="REMEDY or REMEDY@REVISION")],
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what the policy would rule on a remedy now: each rule and limit, and why it matched or not."""
    opts = options(context)
    remedy_id, _, revision = remedy.partition("@")
    with opts.ledger() as ledger, opts.reading() as warehouse:
        proposal = ledger.proposal(remedy_id, int(revision) if revision.isdecimal() else None)
        if proposal is None:
            raise BadInput(f"no remedy {remedy!r}; `bursar remedies` lists them")
        settings, now = opts.settings, utc_now()
        facts = gather_facts(
            proposal=proposal,
            policy=settings.policy,
            ledger=ledger,
            warehouse=warehouse,
            trust=trust(warehouse=warehouse, now=now, settings=settings.detectors),
            reader=guard_gateway(settings, ledger=ledger, clock=utc_now),
            now=now,
        )
    told = explain_policy(proposal, settings.policy, facts, now)
    if json_:
        print_json(told.model_dump(mode="json"))
        return
    print_table(
        ["rule", "matched", "why"],
        [[line.name, "yes" if line.matched else "no", line.why] for line in told.rules],
        empty="no rules",
    )
    ruling = told.ruling
    say(
        f"verdict: {ruling.verdict} by {ruling.rule}"
        + (f", lowered by {', '.join(ruling.lowered_by)}" if ruling.lowered_by else "")
    )


def playbooks(json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """List the playbooks: which causes each answers, its risk, and whether it can be undone."""
    if json_:
        print_json(
            [
                {"name": p.name, "causes": sorted(p.causes), "risk": p.risk, "reversible": p.reversible}
                for p in PLAYBOOKS
            ]
        )
        return
    rows = [[p.name, ", ".join(sorted(p.causes)), p.risk, "yes" if p.reversible else "no"] for p in PLAYBOOKS]
    print_table(["playbook", "causes", "risk", "reversible"], rows, empty="no playbooks")
