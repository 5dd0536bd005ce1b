"""All playbooks that Bursar knows. A new one is added here; tests hold each to the interface."""

from collections.abc import Mapping

from pydantic import ValidationError

from playbooks.batch_lane import BatchLane
from playbooks.block_key import BlockKeyPlaybook
from playbooks.budget_cap import BudgetCap
from playbooks.cache_repair import CacheRepair
from playbooks.context_cap import ContextCap
from playbooks.fast_tier_off import FastTierOff
from playbooks.key_rotation import KeyRotation
from playbooks.long_context_routing import LongContextRouting
from playbooks.model_downgrade import ModelDowngrade
from playbooks.model_pin import ModelPin
from playbooks.notify import NotifyPlaybook
from playbooks.output_cap import OutputCap
from playbooks.planned_event import PlannedEvent
from playbooks.playbook import Params, Playbook
from playbooks.prompt_cache import PromptCache
from playbooks.rate_limit import RateLimit
from playbooks.reasoning_effort import ReasoningEffort
from playbooks.retry_policy import RetryPolicy
from playbooks.session_cap import SessionCap
from store.errors import BadInput

PLAYBOOKS: tuple[Playbook, ...] = (
    SessionCap(),
    RateLimit(),
    ModelPin(),
    ModelDowngrade(),
    ReasoningEffort(),
    PromptCache(),
    CacheRepair(),
    OutputCap(),
    ContextCap(),
    LongContextRouting(),
    FastTierOff(),
    RetryPolicy(),
    BatchLane(),
    PlannedEvent(),
    BudgetCap(),
    BlockKeyPlaybook(),
    KeyRotation(),
    NotifyPlaybook(),
)


def parameters(chosen: Mapping[str, Mapping[str, object]]) -> dict[str, Params]:
    """The parameters of every playbook: the operator's where given, else the defaults.

    Raises:
        BadInput: an unknown playbook or parameter, or a value out of bounds.
    """
    known = {playbook.name: playbook for playbook in PLAYBOOKS}
    for name in chosen:
        if name not in known:
            raise BadInput(f"playbooks: no playbook is called {name!r}; known: {', '.join(sorted(known))}")
    found = {}
    for name, playbook in known.items():
        try:
            found[name] = playbook.params.model_validate(dict(chosen.get(name, {})))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"playbooks: {name}: {where}: {first['msg']}; see `bursar playbooks` for bounds") from error
    return found
