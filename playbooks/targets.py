"""Where a remedy should act: the deepest part of the traffic that the finding names and the remedy can hit."""

from collections.abc import Iterable

from store.model.incident import Finding
from store.model.usage import Scope

ONE_RUN = ("session_id", "trace_id")
"""Dimensions that a single run has: a limit on them would end with the run and never meet the next one."""

MODEL = ("model", "requested_model", "provider")
"""Dimensions that a change of model moves traffic out of."""

ACTORS = ("api_key_id", "end_user", "session_id")
"""Dimensions that name one actor by themselves."""


def lasting(scope: Scope) -> Scope:
    """The scope without the dimensions of a single run."""
    return Scope.of({name: value for name, value in scope.dims if name not in ONE_RUN})


def limit_target(finding: Finding) -> Scope:
    """The finding's focus, lasting; its scope where the focus names only a run."""
    focus = lasting(finding.focus)
    if not focus.dims or (focus.contains(finding.scope) and focus != finding.scope):
        return lasting(finding.scope)
    return focus


def alias_target(finding: Finding) -> Scope:
    """The limit target without its model, which an alias names by itself.

    Spend of "app x at model m" would vanish with the alias, and so look saved when it has only moved.
    """
    return without_model(limit_target(finding))


def without_model(scope: Scope) -> Scope:
    """The scope without its model and provider; itself where it names nothing else."""
    wider = Scope.of({name: value for name, value in scope.dims if name not in MODEL})
    return wider if wider.dims else scope


def at_model_of(finding: Finding, target: Scope) -> Scope:
    """An alias target with the model that the finding's scope and focus name: what the evidence is about."""
    named = {**finding.scope.as_dict(), **finding.focus.as_dict()}
    return Scope.of({**{name: value for name, value in named.items() if name in MODEL}, **target.as_dict()})


def is_named(target: Scope, finding: Finding) -> bool:
    """Whether the finding's evidence names the target (I26).

    The target is one of the scopes that the finding holds, or a part of one that stays within the finding's scope
    or names an actor of it by itself. A target wider than the finding's scope is never named: evidence may look at
    more traffic than a remedy may touch, and at other traffic to compare.
    """
    named = _named(finding)
    if target.contains(finding.scope) and target != finding.scope:
        return any(name in ACTORS for name, _ in target.dims)
    if target in named:
        return target.overlaps(finding.scope)
    part = any(set(target.dims) <= set(scope.dims) for scope in named)
    actor = any(name in ACTORS for name, _ in target.dims)
    return part and (finding.scope.contains(target) or actor)


def touches(target: Scope, never_touch: Iterable[Scope]) -> Scope | None:
    """The first scope on the list that the target lies in, or that lies in the target; None: it is clear of all."""
    return next((scope for scope in never_touch if scope.contains(target) or target.contains(scope)), None)


def _named(finding: Finding) -> set[Scope]:
    return {
        finding.scope,
        finding.focus,
        *(evidence.scope for evidence in finding.evidence),
        *(suspect.scope for suspect in finding.suspects),
    }
