"""The engines that the replay benchmark runs beside ours. Each gives the same exact answer in its own best form."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from evals.bench.replay_ours import Run, cache_answer, price_of
from evals.bench.replay_work import ABOVE, BURST, OTHER, OWN, PER_MINUTE, TTL_US, Answer, Work

# --- DuckDB ----------------------------------------------------------------------------------------------------


def _database() -> Any:
    # By name: only the warehouse may import it, and this is a peer.
    connection = importlib.import_module("duckdb").connect()
    connection.execute("SET threads = 2")
    connection.execute("SET enable_progress_bar = false")
    return connection


def _load(connection: Any, name: str, columns: Mapping[str, np.ndarray[Any, Any]]) -> None:
    table = importlib.import_module("pyarrow").table(dict(columns))
    connection.register("loaded", table)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM loaded")  # noqa: S608 our own names
    connection.unregister("loaded")


def _breakpoints(work: Work) -> dict[str, np.ndarray[Any, Any]]:
    """One row per breakpoint, which spares the other engines an unnesting of their own."""
    request = np.repeat(np.arange(work.rows), np.diff(work.starts))
    return {
        "request": request,
        "moment": work.at[request],
        "least": work.least[request],
        "block": work.blocks,
        "tokens": work.tokens,
    }


def duckdb_cache(work: Work) -> Run:
    """A window over each prefix's uses, then the longest live one of each request."""
    connection = _database()
    _load(connection, "marks", _breakpoints(work))
    query = f"""
        WITH used AS (
            SELECT request, tokens, moment - lag(moment) OVER (PARTITION BY block ORDER BY moment) <= {TTL_US} AS alive
            FROM marks WHERE tokens >= least),
        served AS (
            SELECT coalesce(max(tokens) FILTER (WHERE alive), 0) AS found, max(tokens) AS reach FROM used
            GROUP BY request)
        SELECT sum(found)::BIGINT, sum(reach - found)::BIGINT FROM served"""  # noqa: S608 our own constants

    def run() -> Answer:
        found, wrote = connection.execute(query).fetchone()
        return cache_answer(np.array([found]), np.array([wrote]))

    return run


def duckdb_price(work: Work) -> Run:
    """The rates as constants, no join; only the sums leave the engine, while ours gives the cost of each request."""
    connection = _database()
    columns = {f"t{n}": counts for n, counts in enumerate(work.counts)}
    _load(connection, "usage", {**columns, "mine": work.mine})

    def exact(rates: tuple[int, ...]) -> str:
        return " + ".join(f"t{n}::BIGINT * {rate}" for n, rate in enumerate(rates))

    def cost(tiers: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
        return f"CASE WHEN t0 + t1 + t2 + t3 > {ABOVE} THEN {exact(tiers[1])} ELSE {exact(tiers[0])} END"

    def rounded(name: str) -> str:
        return f"sum({name} // 1000000 + ({name} % 1000000 + ({name} // 1000000) % 2 > 500000)::BIGINT)::BIGINT"

    inner = f"SELECT {cost(OWN)} AS x, {cost(OTHER)} AS y FROM usage WHERE mine"  # noqa: S608 our own constants
    query = f"SELECT {rounded('x')}, {rounded('y')} FROM ({inner})"  # noqa: S608
    return lambda: Answer(tuple(connection.execute(query).fetchone()))


# --- Polars ----------------------------------------------------------------------------------------------------


def polars_cache(work: Work) -> Run:
    """A shift over each prefix's uses, then the longest live one of each request."""
    pl = importlib.import_module("polars")
    frame = pl.DataFrame(_breakpoints(work))

    def run() -> Answer:
        used = frame.lazy().filter(pl.col("tokens") >= pl.col("least"))
        alive = (pl.col("moment") - pl.col("moment").shift(1).over("block") <= TTL_US).fill_null(value=False)
        served = used.with_columns(found=pl.when(alive).then("tokens").otherwise(0)).group_by("request")
        each = served.agg(pl.col("found").max(), reach=pl.col("tokens").max())
        out = each.select(pl.col("found").sum(), wrote=(pl.col("reach") - pl.col("found")).sum()).collect()
        return cache_answer(out["found"].to_numpy(), out["wrote"].to_numpy())

    return run


def polars_price(work: Work) -> Run:
    """Expressions with the rates as constants; only the sums leave the engine."""
    pl = importlib.import_module("polars")
    frame = pl.DataFrame({**{f"t{n}": counts for n, counts in enumerate(work.counts)}, "mine": work.mine})

    def cost(tiers: tuple[tuple[int, ...], tuple[int, ...]]) -> Any:
        low, high = (sum(pl.col(f"t{n}").cast(pl.Int64) * rate for n, rate in enumerate(rates)) for rates in tiers)
        context = pl.col("t0") + pl.col("t1") + pl.col("t2") + pl.col("t3")
        exact = pl.when(context > ABOVE).then(high).otherwise(low)
        whole = exact // 10**6
        return (whole + (exact % 10**6 + whole % 2 > 500_000).cast(pl.Int64)).sum()

    plan = frame.lazy().filter(pl.col("mine")).select(before=cost(OWN), after=cost(OTHER))

    def run() -> Answer:
        out = plan.collect()
        return Answer((int(out["before"][0]), int(out["after"][0])))

    return run


# --- NumPy -----------------------------------------------------------------------------------------------------


def numpy_cache(work: Work) -> Run:
    """A stable sort by prefix, gaps between neighbours, the longest live one of each request."""
    marks = _breakpoints(work)

    def run() -> Answer:
        keep = marks["tokens"] >= marks["least"]
        request, at, block, tokens = (marks[name][keep] for name in ("request", "moment", "block", "tokens"))
        order = np.argsort(block, kind="stable")
        alive = np.zeros(len(order), dtype=np.bool_)
        again = np.diff(block[order]) == 0
        alive[order[1:]] = again & (np.diff(at[order]) <= TTL_US)
        first = np.flatnonzero(np.diff(request, prepend=-1))
        found = np.maximum.reduceat(np.where(alive, tokens, 0), first)
        return cache_answer(found, np.maximum.reduceat(tokens, first) - found)

    return run


def numpy_price(work: Work) -> Run:
    """Whole columns at a time."""
    counts = [counts[work.mine].astype(np.int64) for counts in work.counts]

    def cost(tiers: tuple[tuple[int, ...], tuple[int, ...]]) -> int:
        low, high = (sum(c * rate for c, rate in zip(counts, rates, strict=True)) for rates in tiers)
        exact = np.where(counts[0] + counts[1] + counts[2] + counts[3] > ABOVE, high, low)
        whole, rest = np.divmod(exact, 10**6)
        return int((whole + (rest + whole % 2 > 500_000)).sum())

    return lambda: Answer((cost(OWN), cost(OTHER)))


# --- pure Python -----------------------------------------------------------------------------------------------


def python_cache(work: Work) -> Run:
    """A dictionary of last uses."""
    at, least, blocks, tokens = (a.tolist() for a in (work.at, work.least, work.blocks, work.tokens))

    def run() -> Answer:
        last: dict[int, int] = {}
        found = wrote = place = 0
        for now, enough in zip(at, least, strict=True):
            hit = reach = 0
            for _ in range(3):
                size, block = tokens[place], blocks[place]
                place += 1
                if size < enough:
                    continue
                used = last.get(block)
                if used is not None and now - used <= TTL_US:
                    hit = size
                last[block] = now
                reach = size
            found += hit
            wrote += reach - hit
        return cache_answer(np.array([found]), np.array([wrote]))

    return run


def python_bucket(work: Work) -> Run:
    """The textbook's bucket, in integers."""
    at = work.at.tolist()

    def run() -> Answer:
        one = 60_000_000
        full = level = BURST * one
        before, passed = at[0], 0
        for now in at:
            level += (now - before) * PER_MINUTE
            level = min(level, full)
            before = now
            if level >= one:
                level -= one
                passed += 1
        return Answer((passed,))

    return run


def python_price(work: Work) -> Run:
    """Request by request, as the price table costs a record when it comes in."""
    rows = list(zip(*(counts[work.mine].tolist() for counts in work.counts), strict=True))
    own, other = price_of(OWN), price_of(OTHER)

    def run() -> Answer:
        before = after = 0
        for tokens in rows:
            context = tokens[0] + tokens[1] + tokens[2] + tokens[3]
            before += own.rates_for(context).cost(tokens)
            after += other.rates_for(context).cost(tokens)
        return Answer((before, after))

    return run
