"""The worlds of the exam: the same twice, and wrong nowhere but where the case says."""

from datetime import timedelta

import pytest

from evals.exam.case import Case, Pattern
from evals.exam.catalogue import PATTERNS, named
from evals.exam.stage import stage
from store.model.usage import UsageRecord

SHORT = timedelta(hours=6)


def changed(after: list[UsageRecord], clean: list[UsageRecord]) -> list[UsageRecord]:
    """Records of `after` that the clean twin does not have in just that form."""
    known = set(clean)
    return [record for record in after if record not in known]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: f"{pattern.number:02d}")
def test_a_pattern_changes_its_own_traffic_since_the_onset_and_nothing_else(pattern: Pattern) -> None:
    """Whatever differs from the twin lies in the true scope and the window, under ids that are met once."""
    staged = stage(Case(pattern, "strong", "none"), 1, history_length=SHORT)
    wrong = changed(list(staged.after), list(staged.clean_after))
    assert wrong
    dims = staged.scope.as_dict()
    assert all(all(getattr(record, name) == value for name, value in dims.items()) for record in wrong)
    start, end = int(staged.onset.timestamp() * 1e6), staged.look.end_us
    assert all(start <= record.occurred_us < end for record in wrong)
    ids = [record.record_id for record in [*staged.history, *staged.after]]
    assert len(set(ids)) == len(ids)


def test_the_same_case_and_seed_is_the_same_traffic() -> None:
    """And another seed is another one."""
    case = named(["case-0721"])[0]
    one, again, other = (stage(case, seed, history_length=SHORT) for seed in (4, 4, 5))
    assert (one.history, one.after) == (again.history, again.after)
    assert one.after != other.after


def test_confounders_are_in_the_clean_twin_too() -> None:
    """The batch ran in the weeks before; the launch is where an incident may be opened for good reason."""
    weekly = stage(named(["case-0721"])[0], 2, history_length=timedelta(days=8))
    batch = [record for record in weekly.history if record.app == "newsletter"]
    assert len(batch) > 500
    launch = stage(named(["case-0722"])[0], 2, history_length=SHORT)
    assert [scope.get("app") for scope in launch.others] == ["contract-review"]
    grown = sum(record.app == "contract-review" for record in launch.clean_after)
    assert grown > 2 * sum(record.app == "contract-review" for record in weekly.clean_after)
