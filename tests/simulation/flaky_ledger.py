"""A ledger whose database fails now and then: before a commit (nothing is written), or after it (all is, unheard)."""

import random

from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.ledger.values import Cast
from store.model.remedy import Application, Claim, Remedy, Ruling, Verification, Vote
from tests.simulation.faulty_gateway import Seen

TROUBLE = 0.015
"""Share of the writes that fail, half of them after the commit."""


class FlakyLedger(Ledger):
    """Over a database of its own, or, in a list of bases, before another ledger.

    `trouble` are the dice, None in calm weather; `seen` counts the failures.
    """

    trouble: random.Random | None = None
    seen: Seen
    _doomed = False

    def claim(self, remedy_id: str, *, owner: str, lease_seconds: int) -> tuple[Claim, Remedy] | None:
        self._before("claim")
        done = super().claim(remedy_id, owner=owner, lease_seconds=lease_seconds)
        self._after("claim")
        return done

    def record_ruling(self, ruling: Ruling) -> None:
        self._before("record_ruling")
        super().record_ruling(ruling)
        self._after("record_ruling")

    def intend(self, claim: Claim, application: Application, remedy: Remedy) -> bool:
        self._before("intend")
        done = super().intend(claim, application, remedy)
        self._after("intend")
        return done

    def conclude(
        self,
        claim: Claim,
        remedy: Remedy,
        *,
        application: Application | None = None,
        verification: Verification | None = None,
        note: str = "",
    ) -> bool:
        self._before("conclude")
        done = super().conclude(claim, remedy, application=application, verification=verification, note=note)
        self._after("conclude")
        return done

    def cast(self, vote: Vote) -> Cast:
        self._before("cast")
        done = super().cast(vote)
        self._after("cast")
        return done

    def request_revert(self, remedy_id: str, *, by: str, reason: str) -> Cast:
        self._before("request_revert")
        done = super().request_revert(remedy_id, by=by, reason=reason)
        self._after("request_revert")
        return done

    def _before(self, what: str) -> None:
        roll = 1.0 if self.trouble is None else self.trouble.random()
        if roll < TROUBLE / 2:
            self.seen[f"ledger:{what}:not_written"] += 1
            raise StorageFailed(f"ledger: the database failed, nothing was written: {what}")
        self._doomed = roll < TROUBLE

    def _after(self, what: str) -> None:
        if self._doomed:
            self._doomed = False
            self.seen[f"ledger:{what}:written_unheard"] += 1
            raise StorageFailed(f"ledger: the connection was lost at the commit: {what}")
