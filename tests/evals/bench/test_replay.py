"""The benchmark of the replay: its work, its peers, its figures."""

import importlib.util
import itertools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from agent.entrypoints.cli import app
from evals.bench.replay import TARGETS, run
from evals.bench.replay_engines import ENGINES, Engine
from evals.bench.replay_work import Answer, make_work

SMALL = 3000


def test_the_work_is_repeatable_and_its_prefixes_are_chains() -> None:
    """Equal seeds give equal requests; who has the longer prefix has the shorter ones, at the same lengths."""
    one, two = make_work(SMALL), make_work(SMALL)
    assert all(np.array_equal(a, b) for a, b in zip(one[:5], two[:5], strict=True))
    assert (np.diff(one.at) > 0).all()
    chains = one.blocks.reshape(-1, 3)
    sizes = one.tokens.reshape(-1, 3)
    assert (np.diff(sizes, axis=1) > 0).all()
    for depth in (1, 2):
        above: dict[int, object] = {}
        for chain, size in zip(chains.tolist(), sizes.tolist(), strict=True):
            assert above.setdefault(chain[depth], (chain[:depth], size[: depth + 1])) == (
                chain[:depth],
                size[: depth + 1],
            )


@pytest.mark.parametrize("job", sorted({engine.job for engine in ENGINES}))
def test_every_engine_gives_the_same_answer(job: str) -> None:
    """Exactly, to the token and the nano-dollar; engines that are not installed are left out."""
    work = make_work(SMALL)
    answers = {
        engine.name: engine.prepare(work)()
        for engine in ENGINES
        if engine.job == job and (engine.module is None or importlib.util.find_spec(engine.module))
    }
    assert len(answers) >= 2
    assert len(set(answers.values())) == 1
    assert answers["bursar"].numbers[0] > 0


def _fake(name: str, answer: int = 1, module: str | None = None) -> Engine:
    return Engine("ttl_cache", name, lambda _: lambda: Answer((answer,)), module=module)


def test_a_miss_is_said_and_so_is_what_is_not_installed() -> None:
    """Equal times are no win, and few requests are not compiled."""
    ticks = itertools.count()
    engines = (_fake("bursar"), _fake("duckdb"), _fake("polars", module="no_such_module"))
    report = run(requests=SMALL, engines=engines, wall=lambda: float(next(ticks)), cpu=lambda: float(next(ticks)))
    assert report.absent == ["no_such_module"]
    assert [row["engine"] for row in report.rows] == ["bursar", "duckdb"]
    by_name = {target.name: target for target in report.targets}
    assert len(by_name) == len(TARGETS) + 2
    duckdb = by_name["ttl_cache: times faster than duckdb, at least"]
    assert (duckdb.value, duckdb.ok) == (1.0, False)
    assert by_name["price_swap: times faster than duckdb, at least"].value is None
    json.dumps(report.document(), allow_nan=False)


def test_another_answer_fails_the_benchmark() -> None:
    """Speed counts only with the same result."""
    ticks = itertools.count()
    engines = (_fake("bursar"), _fake("duckdb", answer=2))
    report = run(requests=SMALL, engines=engines, wall=lambda: float(next(ticks)), cpu=lambda: float(next(ticks)))
    assert [row["same_answer"] for row in report.rows] == [True, False]
    assert not next(target for target in report.targets if target.name.startswith("every engine")).ok


def test_the_command_prints_one_document_and_ends_with_1_on_a_miss() -> None:
    """A few thousand requests are far below what is compiled: the targets are missed, and it says so."""
    done = CliRunner().invoke(app, ["bench", "replay", "--requests", "2000", "--repeats", "1", "--json"])
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert {row["job"] for row in document["rows"]} == {"ttl_cache", "token_bucket", "price_swap"}
    assert all(row["same_answer"] for row in document["rows"])
    assert {"name", "value", "target", "ok"} == set(document["targets"][0])
