"""Tables: JSON lines, CSV (both also gzipped) and Parquet, told by suffix, read by the words of a mapping file."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from store.errors import BadInput
from store.model.canonical import digest
from store.model.ports import Clock
from store.model.usage import NONE, Quarantined, UsageRecord, to_us
from tools.sources.fields import Faulty, amount, count, moment, number, reject, text, vet
from tools.sources.lines import Unreadable, columns_of_csv, csv_rows, json_rows
from tools.sources.mapping import Mapping, NumberField, TextField

_ROWS = 20_000
_SUFFIXES = ".jsonl, .ndjson, .json (JSON lines), .csv, each also with .gz, and .parquet"

Row = dict[str, object]
NO_TRAFFIC = "spans without traffic"


class TabularSource:
    """Reads tables by a mapping. `skipped` counts the rows of spans without traffic that were passed over."""

    def __init__(self, *, mapping: Mapping, clock: Clock) -> None:
        self.skipped: Counter[str] = Counter()
        self._mapping = mapping
        self._clock = clock

    def read(self, paths: Iterable[Path]) -> Iterator[UsageRecord | Quarantined]:
        """Records in file order, lazily; rows that cannot be right as Quarantined.

        Raises:
            BadInput: a file has another suffix, lacks a mapped column, cannot be opened, or is damaged from some row
                on; the rows before it were yielded.
        """
        observed_us = to_us(self._clock())
        for path in paths:
            for row in _rows(path, self._mapping):
                found = self._judge(row, observed_us)
                if found is not None:
                    yield found

    def _judge(self, row: Row | Unreadable, observed_us: int) -> UsageRecord | Quarantined | None:
        source = self._mapping.source
        if isinstance(row, Unreadable):
            return reject(source, observed_us, row.reason, row.raw)
        try:
            requests = _count(self._mapping.requests, row, "requests") if self._mapping.requests else 1
            if requests == 0:
                self.skipped[NO_TRAFFIC] += 1
                return None
            return vet(_record(self._mapping, row, requests, observed_us))
        except Faulty as error:
            return reject(source, observed_us, str(error), {name: row.get(name) for name in self._mapping.columns})


def _record(mapping: Mapping, row: Row, requests: int, observed_us: int) -> UsageRecord:
    model = _text(mapping.model, row)
    provider = _text(mapping.provider, row) if mapping.provider else _provider_of(model)
    billed = mapping.billed_usd
    tokens = _tokens(mapping, row)
    dims: dict[str, str] = {name: _text(field, row) for name, field in mapping.dimensions.items()}
    return UsageRecord(
        record_id=_identity(mapping, row),
        source=mapping.source,
        observed_us=observed_us,
        occurred_us=_occurred(mapping, row),
        provider=provider,
        model=model,
        requested_model=_text(mapping.requested_model, row) if mapping.requested_model else model,
        service_tier=_text(mapping.service_tier, row, "standard"),
        speed=_text(mapping.speed, row, "standard"),
        latency_ms=_count(mapping.latency_ms, row, "latency_ms") if mapping.latency_ms else 0,
        requests=requests,
        period_seconds=mapping.period_seconds,
        tags=tuple(sorted((name, _text(field, row)) for name, field in mapping.tags.items())),
        billed_nanos=amount(_value(billed, row), "billed_usd") if billed else None,
        billing_mode=mapping.billing_mode,
        grade=mapping.grade,
        team=dims.get("team", NONE),
        app=dims.get("app", NONE),
        environment=dims.get("environment", NONE),
        api_key_id=dims.get("api_key_id", NONE),
        end_user=dims.get("end_user", NONE),
        route=dims.get("route", NONE),
        prompt_version=dims.get("prompt_version", NONE),
        release=dims.get("release", NONE),
        job=dims.get("job", NONE),
        session_id=dims.get("session_id", NONE),
        trace_id=dims.get("trace_id", NONE),
        region=dims.get("region", NONE),
        input_uncached=tokens.get("input_uncached", 0),
        cache_read=tokens.get("cache_read", 0),
        cache_write_5m=tokens.get("cache_write_5m", 0),
        cache_write_1h=tokens.get("cache_write_1h", 0),
        output=tokens.get("output", 0),
        reasoning=tokens.get("reasoning", 0),
    )


def _tokens(mapping: Mapping, row: Row) -> dict[str, int]:
    fields = mapping.tokens
    named = {name: getattr(fields, name) for name in type(fields).model_fields}
    tokens = {name: _count(field, row, name) for name, field in named.items() if field is not None}
    if "input" in tokens:
        whole = tokens.pop("input")
        cached = sum(tokens.get(name, 0) for name in ("cache_read", "cache_write_5m", "cache_write_1h"))
        if cached > whole:
            raise Faulty(f"cached tokens ({cached}) are more than all input ({whole})")
        tokens["input_uncached"] = whole - cached
    if tokens.get("reasoning", 0) > tokens.get("output", 0):
        raise Faulty("reasoning is more than output, of which it is a part")
    return tokens


def _identity(mapping: Mapping, row: Row) -> str:
    return f"{mapping.source}-{digest([_printed(row.get(name)) for name in mapping.record_id])[:24]}"


def _printed(value: object) -> str | None:
    # The same cell must give the same id from CSV (text), JSON (a number) and Parquet (a NumPy-free Python value).
    return None if value is None else text(value)


def _occurred(mapping: Mapping, row: Row) -> int:
    time = mapping.time
    us = moment(row.get(time.column), time.unit, time.column)
    return us + to_us(time.origin) if time.origin else us


def _provider_of(model: str) -> str:
    head, slash, _ = model.partition("/")
    return head if slash else NONE


def _text(field: TextField | None, row: Row, absent: str = NONE) -> str:
    if field is None:
        return absent
    if field.constant is not None:
        found = field.constant
    else:
        cells = [text(row.get(name)) for name in field.columns]
        found = NONE if all(cell == NONE for cell in cells) else "-".join(cells)
    found = field.values.get(found, found)
    return absent if found == NONE else found


def _count(field: NumberField, row: Row, name: str) -> int:
    return count(_value(field, row), name)


def _value(field: NumberField, row: Row) -> object:
    if field.constant is not None:
        return field.constant
    cells = [row.get(name) for name in field.columns]
    if any(cell is None for cell in cells):
        if field.default is None:
            missing = next(name for name, cell in zip(field.columns, cells, strict=True) if cell is None)
            raise Faulty(f"{missing} is absent, and the mapping gives no default")
        return field.default
    if not field.product:
        return cells[0]
    found = number(1, "product")
    for factor in field.product:
        found *= number(row.get(factor), factor) if isinstance(factor, str) else factor
    return found


def _rows(path: Path, mapping: Mapping) -> Iterator[Row | Unreadable]:
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind in (".jsonl", ".ndjson", ".json"):
        return json_rows(path)
    if kind == ".csv":
        _need(path, mapping, columns_of_csv(path))
        return csv_rows(path)
    if path.suffix == ".parquet":
        return _parquet_rows(path, mapping)
    raise BadInput(f"{path}: cannot tell what kind of table this is; known suffixes: {_SUFFIXES}")


def _parquet_rows(path: Path, mapping: Mapping) -> Iterator[Row]:
    read = 0
    try:
        with pq.ParquetFile(path) as file:
            _need(path, mapping, file.schema_arrow.names)
            for batch in file.iter_batches(_ROWS, columns=list(mapping.columns)):
                rows = batch.to_pylist()
                yield from rows
                read += len(rows)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{path}: the Parquet file cannot be read past row {read} ({error}); the {read} rows before are kept"
        ) from error


def _need(path: Path, mapping: Mapping, found: list[str]) -> None:
    missing = [name for name in mapping.columns if name not in found]
    if missing:
        raise BadInput(f"{path}: no column {', '.join(missing)}, which the mapping needs; it has {', '.join(found)}")
