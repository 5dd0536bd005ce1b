"""The list of cases: complete, neutral in its names, easy where it should be."""

import re

import pytest

from evals.exam.case import CONFOUNDERS, STRENGTHS
from evals.exam.catalogue import PATTERNS, all_cases, core_cases, named
from evals.exam.report import seed_of
from evals.exam.stage import OWN_APPS
from evals.world.catalogue import COMPANY
from store.errors import BadInput


def test_every_pattern_stands_at_every_strength_beside_every_confounder() -> None:
    """The whole list is the product of the three, and sizes grow with the strength."""
    assert len(set(all_cases())) == len(PATTERNS) * len(STRENGTHS) * len(CONFOUNDERS)
    assert all(list(pattern.sizes) == sorted(set(pattern.sizes)) for pattern in PATTERNS)


def test_names_are_unique_and_tell_nothing() -> None:
    """A name is digits; no two cases share one."""
    names = [case.name for case in all_cases()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"case-\d{4}", name) for name in names)


def test_the_core_has_every_pattern_at_every_strength_and_an_easy_case_of_each() -> None:
    """What runs by default leaves no pattern out, and every confounder comes up."""
    core = core_cases()
    assert {(case.pattern, case.strength) for case in core} == {(p, s) for p in PATTERNS for s in STRENGTHS}
    assert {case.pattern for case in core if case.tag == "easy"} == set(PATTERNS)
    assert {case.confounder for case in core} == set(CONFOUNDERS)


def test_every_pattern_befalls_apps_of_the_company() -> None:
    """A wrong name would only fail at one seed in three."""
    assert {app for pattern in PATTERNS for app in pattern.apps} <= {app.name for app in (*COMPANY, *OWN_APPS)}


def test_a_case_that_does_not_exist_is_refused_by_name() -> None:
    """The message says what to do."""
    with pytest.raises(BadInput, match=r"case-9999.*--list"):
        named(["case-9999"])


def test_seeds_for_building_and_reporting_never_meet() -> None:
    """Below 100, and from 1000 on; attempts at one case have different seeds."""
    for case in all_cases():
        build = {seed_of(case, attempt, "build") for attempt in range(97)}
        report = {seed_of(case, attempt, "report") for attempt in range(97)}
        assert len(build) == len(report) == 97
        assert max(build) < 100
        assert min(report) >= 1000
