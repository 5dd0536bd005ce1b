"""The ways of taking a log in that `bursar bench ingest` compares, each run in a process of its own.

`python -m evals.bench.ingest_methods METHOD FILE FOLDER` prints one JSON object: rows, wall and CPU seconds, memory.
"""

import gc
import importlib
import importlib.util
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pyarrow as pa

from evals.bench.usage_lines import COLUMNS, Line

_NOW = datetime(2026, 11, 25, tzinfo=UTC)
_CREATE = "CREATE TABLE calls AS SELECT * FROM incoming"
_APPEND = 10_000
"""Rows of an append, as BENCHMARKS has the limit of appending."""


def bursar(file: Path, folder: Path) -> dict[str, object]:
    """The product: read, validated, amended, priced, deduplicated and kept in a DuckDB file, all columns."""
    from agent.steps.collect import collect
    from store.prices import PriceBook
    from store.usage.duckdb import open_duckdb
    from tools.sources.litellm import LiteLLMSource

    warehouse = open_duckdb(folder / "usage.duckdb", clock=lambda: _NOW)
    source, prices = LiteLLMSource(name="gateway", clock=lambda: _NOW), PriceBook()
    timer = _Timer()
    intake = collect(source=source, paths=[file], warehouse=warehouse, prices=prices)
    warehouse.close()
    return timer.read(intake.accepted)


def limit(file: Path, folder: Path) -> dict[str, object]:
    """Decoding the lines, and appending their ready columns to DuckDB; nothing is checked, priced or compared."""
    connection = _module("duckdb").connect(str(folder / "limit.duckdb"))
    connection.execute("SET enable_progress_bar = false")
    decode, rows, wall, cpu = msgspec.json.Decoder(Line).decode, 0, 0.0, 0.0
    made = False
    gc.disable()
    for lines in _lines(file, _APPEND):
        timer = _Timer()
        decoded = [decode(line) for line in lines]
        wall, cpu = timer.add(wall, cpu)
        columns = zip(*(line.values() for line in decoded), strict=True)
        batch = pa.table({name: pa.array(column) for name, column in zip(COLUMNS, columns, strict=True)})
        del decoded
        timer = _Timer()
        connection.register("incoming", batch)
        connection.execute("INSERT INTO calls SELECT * FROM incoming" if made else _CREATE)
        connection.unregister("incoming")
        wall, cpu = timer.add(wall, cpu)
        made, rows = True, rows + len(lines)
    timer = _Timer()
    connection.execute("CHECKPOINT")
    wall, cpu = timer.add(wall, cpu)
    connection.close()
    return {"rows": rows, "seconds": wall, "cpu_seconds": cpu}


def sqlalchemy(file: Path, folder: Path) -> dict[str, object]:
    """SQLAlchemy Core into SQLite: decoded lines as they are, one INSERT a batch, the id as primary key."""
    sa = _module("sqlalchemy")
    kinds = {str: sa.String, int: sa.BigInteger, float: sa.Float}
    engine = sa.create_engine(f"sqlite:///{folder / 'calls.sqlite'}")
    decode, rows, table = msgspec.json.Decoder(Line).decode, 0, None
    timer = _Timer()
    for lines in _lines(file, _APPEND):
        found = [dict(zip(COLUMNS, decode(line).values(), strict=True)) for line in lines]
        if table is None:
            columns = [sa.Column(n, kinds[type(v)], primary_key=n == "id") for n, v in found[0].items()]
            table = sa.Table("calls", sa.MetaData(), *columns)
            table.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(sa.insert(table), found)
        rows += len(lines)
    result = timer.read(rows)
    engine.dispose()
    return result


METHODS: dict[str, Callable[[Path, Path], dict[str, object]]] = {
    "bursar": bursar,
    "limit": limit,
    "sqlalchemy": sqlalchemy,
}


class _Timer:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, rows: int) -> dict[str, object]:
        wall, cpu = self.add(0, 0)
        return {"rows": rows, "seconds": wall, "cpu_seconds": cpu}

    def add(self, wall: float, cpu: float) -> tuple[float, float]:
        return wall + time.perf_counter() - self._wall, cpu + time.process_time() - self._cpu


def _lines(file: Path, rows: int) -> Iterator[list[bytes]]:
    with file.open("rb") as opened:
        while lines := list(islice(opened, rows)):
            yield lines


def _module(name: str) -> Any:
    """A peer by its name: the product itself reaches these libraries through the store only."""
    found: ModuleType = importlib.import_module(name)
    return found


def main(method: str, file: str, folder: str) -> None:
    """Run one method and print what it took."""
    # Where pandas is installed pyarrow imports it, once a process, 0.6 s: that is no part of any rate.
    if importlib.util.find_spec("pandas"):
        importlib.import_module("pandas")
    found = METHODS[method](Path(file), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(msgspec.json.encode({**found, "peak_mb": round(peak / 1024)}).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
