"""What a remedy would truly save, played in the world."""

from datetime import timedelta

import pytest

from evals.exam.catalogue import named
from evals.exam.saving import Saved, saved_by
from evals.exam.stage import Staged, stage
from store.model.remedy import Action, BlockKey, Check, Notify, Proposal, Saving, SetRateLimit
from store.model.usage import Scope


@pytest.fixture(scope="module")
def backfill() -> Staged:
    """A job works through old rows, far more than the app ever asks."""
    return stage(named(["case-0620"])[0], 5)


def proposal(staged: Staged, action: Action, *, mid: int = 10**9) -> Proposal:
    """Two hours after the onset."""
    made_at = staged.onset + timedelta(hours=2)
    return Proposal(
        remedy_id="rem-1",
        incident_id="inc-1",
        incident_revision=1,
        scope=staged.scope,
        playbook="test",
        cause="batch_backfill",
        confidence=0.9,
        gateway="simulated",
        actions=(action,),
        risk="low",
        reversible=True,
        saving=Saving(low=0, mid=mid, high=mid, cash_mid=mid, assumption="a test"),
        quality_note="",
        undo_note="",
        check=Check(window_seconds=3600, min_reduction=0.1),
        lease_seconds=86_400,
        made_at=made_at,
        expires_at=made_at + timedelta(hours=4),
    )


def test_a_block_saves_all_that_the_key_would_have_spent(backfill: Staged) -> None:
    """The whole day's cost of the app, which has one key; a tighter limit saves more than a looser one."""
    key = backfill.victim.key_ids[0]
    block = saved_by(backfill, proposal(backfill, BlockKey(target=Scope.of(api_key_id=key))))
    tight = saved_by(backfill, proposal(backfill, SetRateLimit(target=backfill.scope, requests_per_minute=1)))
    loose = saved_by(backfill, proposal(backfill, SetRateLimit(target=backfill.scope, requests_per_minute=5)))
    assert block is not None
    assert tight is not None
    assert loose is not None
    assert block.truly > tight.truly > loose.truly > 0


def test_other_draws_of_the_day_are_of_the_same_fault(backfill: Staged) -> None:
    """They come close to the truth and are not it; what their median is off by is the floor of any estimate."""
    limit = proposal(backfill, SetRateLimit(target=backfill.scope, requests_per_minute=2))
    saved = saved_by(backfill, limit, redraws=2)
    assert saved is not None
    assert saved.floor is not None
    assert saved.error is not None
    assert len({saved.truly, *saved.redrawn}) == 3
    assert 0 < saved.floor < 0.05 < saved.error


def test_the_truth_lies_in_the_interval_or_not() -> None:
    """Both ends belong to it; where nothing is saved an interval may have said so, and there is no share to be off."""
    saved = Saved(low=10, expected=20, high=30, truly=30)
    assert (saved.within, saved.floor) == (True, None)
    assert saved.error == pytest.approx(1 / 3)
    assert saved._replace(truly=31).within is False
    assert (saved._replace(truly=0).within, saved._replace(truly=0).error) == (False, None)
    assert saved._replace(low=0, truly=0).within is True
    assert saved._replace(redrawn=(20, 27, 60)).floor == pytest.approx(0.1)


def test_an_action_that_meets_nobody_saves_nothing_and_has_no_error(backfill: Staged) -> None:
    """Others' traffic is not the remedy's."""
    saved = saved_by(backfill, proposal(backfill, BlockKey(target=Scope.of(api_key_id="nobody"))))
    assert saved is not None
    assert (saved.truly, saved.error) == (0, None)


def test_a_note_and_wrong_money_are_not_judged(backfill: Staged) -> None:
    """No gateway has a part in the one, and no request changes the other."""
    assert saved_by(backfill, proposal(backfill, Notify(target=backfill.scope, message="look"))) is None
    dearer = stage(named(["case-0520"])[0], 5)
    limit = SetRateLimit(target=dearer.scope, requests_per_minute=1)
    assert saved_by(dearer, proposal(dearer, limit)) is None
