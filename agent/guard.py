"""The guard as this installation has it: its key, its rule book in the ledger, and what its rules say to people."""

from datetime import timedelta
from functools import partial

from agent.policy import Policy, RulingFacts, owner_of
from agent.settings import Settings
from store.ledger.guard_values import Place, ProxyReport
from store.ledger.ledger import Ledger
from store.model.ports import Clock
from tools.actuators.guard import POLLS, GuardGateway, Words
from tools.actuators.guard_rules import GuardPublisher
from tools.actuators.signing import KEY_NAME, Signer, open_signer


def guard_signer(settings: Settings) -> Signer:
    """The signer of the configured key, or of `guard.key` in the data directory; made at first use.

    Raises:
        BadInput: the key file cannot be used.
    """
    named = settings.guard.private_key if settings.guard else None
    return open_signer(named or settings.data_dir / KEY_NAME)


def guard_gateway(settings: Settings, *, ledger: Ledger, clock: Clock) -> GuardGateway | None:
    """The gateway that `guard:` names; None where it is not configured.

    Raises:
        BadInput: the key file cannot be used.
    """
    if settings.guard is None:
        return None
    return GuardGateway(
        book=ledger,
        signer=guard_signer(settings),
        settings=settings.guard,
        words_for=partial(rule_words, ledger=ledger, policy=settings.policy),
        clock=clock,
    )


def guard_publisher(settings: Settings, *, ledger: Ledger) -> GuardPublisher | None:
    """What signs the rules for the proxies; None where `guard:` is not configured.

    Raises:
        BadInput: the key file cannot be used.
    """
    return None if settings.guard is None else GuardPublisher(book=ledger, signer=guard_signer(settings))


def take_report(report: ProxyReport, *, ledger: Ledger, poll_seconds: int, clock: Clock) -> Place:
    """Keep a proxy's report; its place among the proxies that are live now, so that they can share a rate limit."""
    ledger.guard_report(report)
    live = ledger.guard_proxies(since=clock() - timedelta(seconds=POLLS * poll_seconds))
    names = sorted({report.proxy_id, *(one.report.proxy_id for one in live if not one.report.off)})
    return Place(place=names.index(report.proxy_id), of=len(names))


def rule_words(remedy_id: str, *, ledger: Ledger, policy: Policy) -> Words:
    """What a remedy's rule tells the people whose calls it changes: why, and whom to ask."""
    proposal = ledger.proposal(remedy_id)
    if proposal is None:
        return Words(0, "", "")
    why = f"spend of {proposal.scope.text[:300]} is far above normal; likely cause: {proposal.cause.replace('_', ' ')}"
    owner = owner_of(proposal.scope, policy, RulingFacts())
    whom = (owner.channel or ", ".join(owner.people)) if owner else ""
    return Words(proposal.revision, why, whom)
