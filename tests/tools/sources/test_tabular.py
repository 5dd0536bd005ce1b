"""Tables of every suffix become the same records; a mapping's mistakes are named; the shipped mappings fit."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from agent.steps.collect import collect
from agent.steps.roll_up import roll_up
from store.errors import BadInput
from store.model.usage import Cube, Intake, Quarantined, Scope, UsageRecord, to_us
from store.prices import PriceBook
from store.usage.duckdb import open_duckdb
from tests.checks.check_source import EVER, at
from tools.sources.mapping import Mapping, load_mapping
from tools.sources.tabular import TabularSource

_DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
_MAPPING = """
source: table
record_id: [tenant, t]
time: {column: t, unit: ms, origin: 2026-11-02T00:00:00Z}
period_seconds: 600
provider: {constant: openai}
model: {column: pool, values: {small: gpt-4o-mini}}
dimensions:
  team: {join: [pool, tenant]}
tags:
  region: {column: region}
tokens:
  input: {product: [n, mean, 0.5]}
  cache_read: {product: [n, 2]}
  output: {column: out, default: 0}
requests: {column: n}
billed_usd: {product: [n, 0.001]}
"""
_ROWS = pa.table(
    {
        "tenant": [1, 2, 3],
        "t": [0, 600_000, 1_200_000],
        "pool": ["small", "large", "small"],
        "region": ["eu", None, "us"],
        "n": [10.0, 3.0, 0.0],
        "mean": [100.0, 5.5, 1.0],
        "out": [7, None, 1],
    }
)


def _mapping(folder: Path, content: str = _MAPPING) -> Mapping:
    (folder / "map.yaml").write_text(content)
    return load_mapping(folder / "map.yaml")


def _write(path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(_ROWS, path)
        return
    if ".csv" in path.suffixes:
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(_ROWS, sink)
        content = sink.getvalue().to_pybytes()
    else:
        content = "".join(json.dumps(row) + "\n" for row in _ROWS.to_pylist()).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.jsonl", "t.ndjson.gz", "t.json"])
def test_every_suffix_reads_the_same(name: str, tmp_path: Path) -> None:
    """Products, constants, joins, relative times, defaults and empty spans, whatever the file's form."""
    _write(tmp_path / name)
    source = TabularSource(mapping=_mapping(tmp_path), clock=at())
    first, second = source.read([tmp_path / name])
    assert isinstance(first, UsageRecord)
    assert isinstance(second, UsageRecord)
    assert source.skipped == {"spans without traffic": 1}
    assert (first.occurred_us, first.period_seconds) == (to_us(datetime(2026, 11, 2, tzinfo=UTC)), 600)
    assert (first.provider, first.model, first.requested_model) == ("openai", "gpt-4o-mini", "gpt-4o-mini")
    assert (first.team, first.tags) == ("small-1", (("region", "eu"),))
    assert (first.requests, first.input_uncached, first.cache_read, first.output) == (10, 480, 20, 7)
    assert first.billed_nanos == 10_000_000
    assert (second.model, second.output, second.tags) == ("large", 0, (("region", "(none)"),))
    assert second.occurred_us - first.occurred_us == 600 * 10**6
    assert second.input_uncached + second.cache_read == 8, "8.25 tokens are 8"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("source: table", "sauce: table"), "sauce: no such key; allowed here: source, record_id"),
        (
            ("output: {column: out, default: 0}", "outptu: {column: out}"),
            r"tokens\.outptu: no such key.*input_uncached",
        ),
        (("unit: ms", "unit: weeks"), r"time\.unit: .*'us'"),
        (("{column: n}", "{column: n, constant: 1}"), "exactly one of column, constant, product"),
        (("  input:", "  input_uncached: {constant: 1}\n  input:"), "not both"),
        (("origin: 2026-11-02T00:00:00Z", "origin: 2026-11-02T00:00:00"), "timezone"),
        (("unit: ms", "unit: iso"), "is not relative"),
        (("team:", "colour:"), r"dimensions\.colour.*'team'"),
        (("source: table", "source: [table"), "not YAML"),
    ],
)
def test_a_bad_mapping_is_named(change: tuple[str, str], says: str, tmp_path: Path) -> None:
    """The message names the file, the key, and what is allowed."""
    with pytest.raises(BadInput, match=says) as caught:
        _mapping(tmp_path, _MAPPING.replace(*change))
    assert str(tmp_path / "map.yaml") in str(caught.value)


def test_a_missing_mapping_is_told_what_is_shipped() -> None:
    """A name that is neither a file nor shipped is answered with the shipped ones."""
    with pytest.raises(BadInput, match="shipped mappings: aider, servegen"):
        load_mapping(Path("adier"))


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_a_missing_column_is_named(name: str, tmp_path: Path) -> None:
    """The message names the file, the column, and the columns that there are."""
    _write(tmp_path / name)
    source = TabularSource(mapping=_mapping(tmp_path, _MAPPING.replace("column: out", "column: otu")), clock=at())
    with pytest.raises(BadInput, match=rf"{name}: no column otu.*tenant, t, pool"):
        list(source.read([tmp_path / name]))


def test_an_unknown_suffix_is_told_the_known_ones(tmp_path: Path) -> None:
    """A spreadsheet is not guessed at."""
    (tmp_path / "t.xlsx").write_bytes(b"")
    source = TabularSource(mapping=_mapping(tmp_path), clock=at())
    with pytest.raises(BadInput, match=r"known suffixes: \.jsonl"):
        list(source.read([tmp_path / "t.xlsx"]))


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    """A cut-off file is refused with the rows that were read; damage inside keeps the row groups before it."""
    path = tmp_path / "t.parquet"
    rows = pa.concat_tables([_ROWS.slice(0, 2).set_column(1, "t", pa.array([n, n + 1])) for n in range(0, 4_000, 2)])
    pq.write_table(rows, path, row_group_size=1_000, compression="gzip")
    whole = path.read_bytes()
    source = TabularSource(mapping=_mapping(tmp_path), clock=at())
    path.write_bytes(whole[:-100])
    with pytest.raises(BadInput, match="cannot be read past row 0"):
        list(source.read([path]))
    middle = pq.ParquetFile(pa.BufferReader(whole)).metadata.row_group(2).column(0).data_page_offset
    path.write_bytes(whole[:middle] + b"\xff" * 200 + whole[middle + 200 :])
    with pytest.raises(BadInput, match="cannot be read past row"):
        list(source.read([path]))


def test_absent_and_uneven_cells_are_faulty(tmp_path: Path) -> None:
    """A cell without a default, and a row that is not as long as the header, are quarantined."""
    (tmp_path / "t.csv").write_text("tenant,t,pool,region,n,mean,out\n1,0,small,eu,,1,1\n1,2\n1,0,small,eu,1,1,1,1\n")
    found = list(TabularSource(mapping=_mapping(tmp_path), clock=at()).read([tmp_path / "t.csv"]))
    assert [row.reason for row in found if isinstance(row, Quarantined)] == [
        "n is absent, and the mapping gives no default",
        "the row has not as many cells as the header",
        "the row has not as many cells as the header",
    ]


def test_an_empty_table_is_named(tmp_path: Path) -> None:
    """A CSV file without a header has none of the mapped columns."""
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(BadInput, match="no column tenant"):
        list(TabularSource(mapping=_mapping(tmp_path), clock=at()).read([tmp_path / "t.csv"]))


def _shipped(name: str, data: Path) -> tuple[Intake, TabularSource, Cube]:
    if not data.exists():
        pytest.skip(f"the reference data is not beside the repository: {data.name}")
    warehouse = open_duckdb(None, clock=at())
    source = TabularSource(mapping=load_mapping(Path(name)), clock=at())
    intake = collect(source=source, paths=[data], warehouse=warehouse, prices=PriceBook())
    roll_up(warehouse=warehouse, prices=PriceBook())
    cube = warehouse.cube(EVER, bucket_seconds=86_400, dims=("model", "requested_model"))
    warehouse.close()
    return intake, source, cube


def test_aider_is_billed_as_published() -> None:
    """2,329 real calls, 66.00 USD; where we know the model, our list price is what was billed, to 0.5%."""
    intake, _, cube = _shipped("aider", _DATA / "aider" / "message_send.parquet")
    assert intake == Intake(accepted=2_329)
    assert cube.total("requests") == 2_329
    assert abs(cube.total("billed_nanos") - 65_998_128_626) < 10
    main = cube.take(cube.mask(Scope.of(model="claude-3-5-sonnet-20241022")))
    assert main.total("requests") == 1_465
    assert abs(main.total("cost_nanos") / main.total("billed_nanos") - 1) < 0.005


def test_servegen_counts_as_published() -> None:
    """The published request counts come out, spans without traffic are passed over, nothing is quarantined."""
    intake, source, cube = _shipped("servegen", _DATA / "servegen" / "client_windows.parquet")
    assert intake == Intake(accepted=95_296)
    assert source.skipped == {"spans without traffic": 106_304}
    pools = {pool: cube.take(cube.mask(Scope.of(requested_model=pool))) for pool in ("m-mid", "m-small", "mm-image")}
    millions = {pool: round(part.total("requests") / 1e6, 2) for pool, part in pools.items()}
    assert (round(millions["m-mid"]), round(millions["m-small"]), millions["mm-image"]) == (970, 1_421, 0.82)
    assert all(part.total("cost_nanos") > 0 for part in pools.values())
    assert cube.total("unpriced") == 0
