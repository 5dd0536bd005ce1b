"""All playbooks that Bursar knows. A new one is added here; tests hold each to the interface."""

from collections.abc import Mapping

from pydantic import ValidationError

from playbooks.block_key import BlockKeyPlaybook
from playbooks.model_downgrade import ModelDowngrade
from playbooks.model_pin import ModelPin
from playbooks.notify import NotifyPlaybook
from playbooks.output_cap import OutputCap
from playbooks.playbook import Params, Playbook
from playbooks.prompt_cache import PromptCache
from playbooks.rate_limit import RateLimit
from playbooks.session_cap import SessionCap
from store.errors import BadInput

PLAYBOOKS: tuple[Playbook, ...] = (
    SessionCap(),
    RateLimit(),
    ModelPin(),
    ModelDowngrade(),
    PromptCache(),
    OutputCap(),
    BlockKeyPlaybook(),
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
