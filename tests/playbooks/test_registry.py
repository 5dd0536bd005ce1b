"""Every registered playbook keeps the interface and its entry in the catalogue."""

import typing

import pytest
from pydantic import ValidationError

from playbooks.notify import LEAVE_ALONE
from playbooks.playbook import RECORD_COLUMNS, Params, Playbook
from playbooks.registry import PLAYBOOKS, parameters
from store.errors import BadInput
from store.model.incident import Cause
from store.model.remedy import ActionKind, Risk
from store.model.usage import UsageRecord

_ENTRY = ("Fits:", "Parameters:", "Risk:", "Undo:", "Verified:")


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda p: p.name)
def test_the_docstring_is_a_catalogue_entry(playbook: Playbook) -> None:
    """It says when it fits, its parameters by name, its risk, how to undo it and how it is verified."""
    text = type(playbook).__doc__ or ""
    assert [word for word in _ENTRY if word not in text] == []
    assert [name for name in playbook.params.model_fields if f"`{name}`" not in text] == []
    assert f"Risk: {playbook.risk}" in text


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda p: p.name)
def test_what_it_declares_is_known(playbook: Playbook) -> None:
    """Causes, kinds and risk are of the closed sets; the worth at stake is a share or more, never negative."""
    assert set(playbook.causes) <= set(typing.get_args(Cause))
    assert set(playbook.kinds) <= set(typing.get_args(ActionKind))
    assert playbook.causes
    assert playbook.kinds
    assert playbook.risk in typing.get_args(Risk)
    assert 0 <= playbook.quality_cost <= 1
    assert playbook.harm_if_wrong >= 0


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda p: p.name)
def test_every_parameter_has_bounds_and_defaults_within_them(playbook: Playbook) -> None:
    """Below its least and above its greatest value a parameter is refused; unknown ones are, too."""
    playbook.params.model_validate(playbook.params().model_dump())
    for name, field in playbook.params.model_fields.items():
        bounds = {type(rule).__name__ for rule in field.metadata}
        assert bounds >= {"Ge", "Le"} or "MaxLen" in bounds, f"{playbook.name}.{name} has no bounds"
        for value in (-1, 10**9):
            with pytest.raises(ValidationError):
                playbook.params.model_validate({name: value})
    with pytest.raises(ValidationError):
        playbook.params.model_validate({"surprise": 1})


def test_names_are_distinct_and_every_action_and_cause_is_answered() -> None:
    """Each kind of action has a playbook, and notify answers all causes; those to leave alone nobody else does.

    A pull request needs a file's whole content, which no playbook knows: people who repair a prompt write it.
    """
    assert len({p.name for p in PLAYBOOKS}) == len(PLAYBOOKS)
    assert {kind for p in PLAYBOOKS for kind in p.kinds} == set(typing.get_args(ActionKind)) - {"open_pull_request"}
    others = {cause for p in PLAYBOOKS if p.name != "notify" for cause in p.causes}
    assert not others & LEAVE_ALONE
    assert next(set(p.causes) for p in PLAYBOOKS if p.name == "notify") == set(typing.get_args(Cause))


def test_only_a_block_is_of_high_risk() -> None:
    """And it is the only one that may block."""
    assert {p.name for p in PLAYBOOKS if p.risk == "high"} == {"block_key"}


def test_the_columns_that_playbooks_read_are_record_columns() -> None:
    """No column is asked for that a record does not have."""
    assert set(RECORD_COLUMNS) <= set(UsageRecord._fields)
    assert len(set(RECORD_COLUMNS)) == len(RECORD_COLUMNS)


def test_the_operators_parameters_are_checked() -> None:
    """A known value is taken, defaults fill the rest; what is unknown or out of bounds is said in one line."""
    found = parameters({"session_cap": {"multiple": 3}})
    assert set(found) == {p.name for p in PLAYBOOKS}
    assert found["session_cap"].model_dump()["multiple"] == 3
    assert isinstance(found["notify"], Params)
    assert found["notify"].lease_seconds == 24 * 3600
    assert parameters({"session_cap": {"lease_hours": 0.5}})["session_cap"].lease_seconds == 1800
    with pytest.raises(BadInput, match="no playbook is called 'magic'"):
        parameters({"magic": {}})
    with pytest.raises(BadInput, match="rate_limit: multiple"):
        parameters({"rate_limit": {"multiple": 99}})
