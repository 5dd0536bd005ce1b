"""The exam with a model: `bursar eval --reasoner claude`. Without a key it does not begin, and says so."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from agent.reviewer import Reviewer, make_reasoner
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.model.ports import Clock
from store.model.usage import UsageRecord
from store.prices import PriceBook
from tools.reasoner.settings import ReasonerSettings

KEY = "ANTHROPIC_API_KEY"
NO_KEY = f"skipped: {KEY} is not set; export a key (BURSAR_REASONER_URL and BURSAR_REASONER_MODEL change the rest)"


@dataclass(frozen=True)
class Claude:
    """Makes the reviewer of one case; `records` are the calls of all cases, which no seeded company is charged with."""

    settings: ReasonerSettings
    records: list[UsageRecord] = field(default_factory=list)

    def __call__(self, ledger: Ledger, clock: Clock) -> Reviewer:
        """A reviewer over the throw-away ledger of a case: its caps hold for that case."""
        # Imported here: the exam without a model does not pay for the provider's library.
        from tools.reasoner.messages import MessagesApi

        api = MessagesApi(self.settings)
        reasoner = make_reasoner(
            self.settings, post=api.post, ledger=ledger, prices=PriceBook(), clock=clock, count=self.records.extend
        )
        return Reviewer(reasoner, api.close, min_excess_nanos=0)

    @property
    def cost_nanos(self) -> int:
        """What all calls cost."""
        return sum(one.cost_nanos or 0 for one in self.records)


def claude(environment: Mapping[str, str] | None = None) -> Claude | None:
    """The model that the environment names; None where there is no key.

    Raises:
        BadInput: the address or the model cannot be used.
    """
    environ = os.environ if environment is None else environment
    if not environ.get(KEY):
        return None
    named = {"base_url": environ.get("BURSAR_REASONER_URL"), "model": environ.get("BURSAR_REASONER_MODEL")}
    given = {name: value for name, value in named.items() if value}
    try:
        return Claude(ReasonerSettings.model_validate({"api_key": environ[KEY], **given}))
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"--reasoner claude: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
