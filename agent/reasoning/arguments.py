"""What a model may ask with: closed lists, and ids that it was given. No times, no names, no expressions."""

from typing import Literal

from pydantic import Field

from store.model.incident import Cause
from tools.reasoner.inquiry import Arguments, OpaqueId

Dimension = Literal[
    "team",
    "app",
    "environment",
    "api_key_id",
    "route",
    "release",
    "job",
    "provider",
    "model",
    "requested_model",
    "service_tier",
    "speed",
    "region",
    "prompt_version",
    "end_user",
]
Named = Literal["team", "app", "api_key_id", "route", "release", "job", "model", "end_user"]


class Where(Arguments):
    """Ids that all must hold, at most one of each dimension; an empty list is the scope that was compared."""

    where: list[OpaqueId] = Field(max_length=6, description="ids of this review that all must hold; [] for none")


class SpendBy(Where):
    """One dimension."""

    by: Dimension


class OverTime(Where):
    """A step."""

    step: Literal["5m", "1h"]


class OfKey(Arguments):
    """One API key."""

    key: OpaqueId = Field(description="an id such as api_key_id#1")


class OfTrace(Arguments):
    """One trace."""

    trace: OpaqueId = Field(description="an id such as trace_id#1")


class OfModels(Arguments):
    """Some models."""

    models: list[OpaqueId] = Field(min_length=1, max_length=8, description="ids such as model#1")


class OfCause(Arguments):
    """One cause."""

    cause: Cause


class ReadNames(Where):
    """The names of one dimension."""

    of: Named


_WHERE = (
    " `where` narrows the incident's scope to ids of this review; an empty list asks of the scope that was compared."
)

CATALOGUE: tuple[tuple[str, str, type[Arguments]], ...] = (
    (
        "spend_by",
        "Spend, requests and cost per request of each value of one dimension, now and in the reference, those that"
        " changed most first, at most 15. Shows who or what the excess comes from, and which values are new." + _WHERE,
        SpendBy,
    ),
    (
        "over_time",
        "Spend, requests, errors, tokens and cache reads in steps around the onset: of 5 minutes from an hour before,"
        " or of an hour from a day before. Steps without traffic are left out. Shows whether the change"
        " was a step, a ramp or a burst." + _WHERE,
        OverTime,
    ),
    (
        "figures",
        "Totals and figures per request, now and in the reference: cost, errors, retries, attempts per success, tokens"
        " by class, cache reads and writes, reasoning, distinct prompts, users, sessions and prefixes, sizes, lengths"
        " cut off, tools per call, characters per token, latency." + _WHERE,
        Where,
    ),
    (
        "sessions",
        "The eight dearest sessions of the window: calls, cost, minutes, distinct prompts, size of the first and the"
        " last input, errors." + _WHERE,
        Where,
    ),
    (
        "key_history",
        "What one API key was seen with in the two weeks before and now: models, apps, regions, end users and hours of"
        " the day, and how many of them are new.",
        OfKey,
    ),
    (
        "trace_tree",
        "What ran in one trace, as a tree in depth-first order: agents, tools, model calls and the steps between."
        " Those of one kind and name below one parent are one row: how often they ran, how many failed, the seconds"
        " that they took; at most 40 rows. Shows what a loop or a fan-out repeats. Empty where no spans are reported.",
        OfTrace,
    ),
    (
        "list_prices",
        "List prices of models in the reference and now, in USD per million tokens of each class, and the input size"
        " above which a dearer tier begins.",
        OfModels,
    ),
    (
        "test_cause",
        "How the analyst tested one cause: each figure that it needs, that supports it or that speaks against it, the"
        " figure's value, the values at which the test gives nothing and all, its level and the evidence it is from.",
        OfCause,
    ),
    (
        "read_names",
        "What kind of names the ten values of a dimension that changed most have: person, interactive, agent, batch,"
        " backfill, evaluation, load_test, ci, automation or unclear, and their environment. A separate reader labels"
        " them; a name is a claim and no proof, and it costs more than other questions." + _WHERE,
        ReadNames,
    ),
)
"""(name, description, arguments) of each question."""
