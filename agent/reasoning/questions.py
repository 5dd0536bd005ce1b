"""The read-only questions of one review: they look inside the incident only, and give numbers and opaque ids."""

from datetime import timedelta
from itertools import islice

from agent.analyst.cause_table import CAUSES
from agent.analyst.columns import Calls
from agent.analyst.traces import Forest
from agent.reasoning import arguments as given
from agent.reasoning import figures
from agent.reasoning.asking import CANNOT, Asking, Rows
from agent.reasoning.brief import number
from store.errors import BadInput
from store.model.prices import PriceKey
from store.model.usage import NONE, Scope, Window, floor_to
from tools.queries.keys import KeyUse, keys
from tools.queries.prices import prices
from tools.queries.spend import spend
from tools.reasoner.inquiry import Answer, Cell, Question

MOST_NAMES = 10
MOST_BRANCHES = 40
KEY_PAST = timedelta(days=14)


class Questions(Asking):
    """One method a question; each is a row of CATALOGUE."""

    def spend_by(self, args: given.SpendBy) -> Answer:
        """By one dimension."""

        def rows(scope: Scope) -> Rows:
            now, before = self.spent(scope, (args.by,))
            return self.masked(args.by, figures.by_value(now, before, args.by, self.case.reference.scale))

        return self.over("spend", args.where, rows)

    def over_time(self, args: given.OverTime) -> Answer:
        """In steps around the onset."""
        fine, onset = args.step == "5m", self.case.window.start
        lead, most = (timedelta(hours=1), timedelta(hours=3)) if fine else (timedelta(hours=24), timedelta(hours=48))
        around = Window(start=onset - lead, end=min(self.case.window.end, onset - lead + most))

        def rows(scope: Scope) -> Rows:
            cube = spend(self.warehouse, scope=scope, window=around, dims=()).need()
            step = 300 if fine else 3600
            return figures.over_time(cube, step_seconds=step, onset_us=self.case.window.start_us)

        return self.over("spend", args.where, rows, window=around)

    def figures(self, args: given.Where) -> Answer:
        """Totals and figures per request, and what single calls were like."""

        def rows(scope: Scope) -> Rows:
            now, before = self.spent(scope, ())
            calls_now, calls_before = self.calls(scope)
            if not any(cube.rows for cube in (now, *before)):
                return []
            scale = self.case.reference.scale
            return [
                {"side": "now", **figures.levels([now], 1.0), **figures.call_levels(calls_now)},
                {"side": "reference", **figures.levels(before, scale), **figures.call_levels(calls_before)},
            ]

        return self.over("spend", args.where, rows)

    def sessions(self, args: given.Where) -> Answer:
        """The dearest sessions of the window."""
        return self.over(
            "traces",
            args.where,
            lambda scope: self.masked("session_id", figures.dearest_sessions(self.calls(scope)[0])),
        )

    def key_history(self, args: given.OfKey) -> Answer:
        """One key's two weeks before, and now."""
        known = self.masks.value_of(args.key)
        if known is None or known[0] != "api_key_id":
            return self.error("keys", {}, f"no such key: {args.key}; spend_by api_key_id gives those that there are")
        # Whole hours only: the hour in which the incident began is not the past.
        began = floor_to(self.case.window.start, 3600)
        past = Window(start=began - KEY_PAST, end=began)
        try:
            before, now = (
                keys(self.warehouse, api_key_id=known[1], window=one).need() for one in (past, self.case.window)
            )
        except BadInput:
            return self.error("keys", {"api_key_id": args.key}, CANNOT)
        seen, used = _texts(before), _texts(now)
        rows: Rows = [
            {"side": "before", **_use(before), **{name: len(values) for name, values in seen.items()}},
            {
                "side": "now",
                **_use(now),
                **{name: len(values) for name, values in used.items()},
                **{f"new_{name}": len(values - seen[name]) for name, values in used.items()},
            },
        ]
        return self.answer("keys", Scope.of(api_key_id=known[1]), {"api_key_id": args.key}, rows, window=past)

    def trace_tree(self, args: given.OfTrace) -> Answer:
        """What ran in one trace, siblings of one kind and name as one row."""
        known = self.masks.value_of(args.trace)
        if known is None or known[0] != "trace_id":
            return self.error("steps", {}, f"no such trace: {args.trace}; the facts name one where spans are reported")
        rows: Rows = [
            {
                "id": self.masks.id_of("model" if one.kind == "llm" else one.kind, one.name),
                "kind": one.kind,
                "depth": one.depth,
                "times": one.times,
                "errors": one.errors,
                "seconds": number(one.seconds),
            }
            for one in islice(Forest(self.case.steps.now).branches(known[1]), MOST_BRANCHES)
        ]
        return self.answer("steps", self.case.core, {"trace_id": args.trace}, rows)

    def list_prices(self, args: given.OfModels) -> Answer:
        """List prices in the reference and now, USD per million tokens."""
        named = {one: self.masks.value_of(one) for one in args.models}
        models = {known[1] for known in named.values() if known is not None and known[0] == "model"}
        absent = [one for one, known in named.items() if known is None or known[0] != "model"]
        if absent:
            return self.error("prices", {}, f"no such model: {', '.join(absent)}")
        wanted = sorted(key for key in self._models_seen() if key.model in models)
        scope, window, earlier = self.case.core, self.case.window, self.case.reference.windows[:1]
        table = prices(self.price_table_for, models=wanted, scope=scope, window=window).need()
        moments = {"reference": (earlier[0] if earlier else window).start_us, "now": window.end_us - 1}
        rows: Rows = []
        for key in wanted:
            for side, moment_us in moments.items():
                price = table.price_at(key, moment_us)
                row: dict[str, Cell] = {"id": self.masks.id_of("model", key.model), "side": side}
                if price is not None:
                    rates = price.rates.model_dump(exclude={"per_request"})
                    row |= {name: number(rate / 1e9) for name, rate in rates.items()}
                    row["dearer_above_input_tokens"] = price.tiers[0][0] if price.tiers else None
                rows.append(row)
        return self.answer("prices", scope, {}, rows)

    def test_cause(self, args: given.OfCause) -> Answer:
        """How the analyst tested one cause, figure by figure."""
        tests = CAUSES.get(args.cause)
        if tests is None:
            return self.error("tests", {"cause": args.cause}, "unknown has no tests: it is what is left")
        values = {name: value for one in self.finding.evidence for name, value in one.data.items()}
        origin = {name: one.id for one in self.finding.evidence for name in one.data}
        parts = [
            *(("needs", ramp, None) for ramp in tests.needs),
            *(("supports", ramp, weight) for ramp, weight in tests.supports),
            *(("speaks_against", ramp, weight) for ramp, weight in tests.unless),
        ]
        rows: Rows = []
        for role, ramp, weight in parts:
            value = values.get(ramp.measure)
            known = float(value) if isinstance(value, bool | int | float) else None
            rows.append(
                {
                    "role": role,
                    "figure": ramp.measure,
                    "value": None if known is None else number(known),
                    "nothing_at": ramp.low,
                    "full_at": ramp.high,
                    "level": None if known is None else number(ramp.level(known)),
                    "weight": weight,
                    "evidence": origin.get(ramp.measure),
                }
            )
        return self.answer("tests", self.case.core, {"cause": args.cause}, rows)

    def read_names(self, args: given.ReadNames) -> Answer:
        """What kind of names the values that changed most have; the extractor alone reads them."""
        texts: list[tuple[str, str]] = []

        def rows(scope: Scope) -> Rows:
            now, before = self.spent(scope, (args.of,))
            named = figures.by_value(now, before, args.of, self.case.reference.scale)
            texts[:] = [(self.masks.id_of(args.of, value), value) for value, _ in named if value != NONE][:MOST_NAMES]
            return [{"id": opaque} for opaque, _ in texts]

        answer = self.over("names", args.where, rows)
        return Answer(**{**answer.__dict__, "untrusted": tuple(texts) if answer.status == "ok" else ()})

    def all(self) -> tuple[Question, ...]:
        """In a fixed order, with fixed words: they are part of the cached prefix."""
        return tuple(Question(name, text, kind, getattr(self, name)) for name, text, kind in given.CATALOGUE)

    def _models_seen(self) -> set[PriceKey]:
        return {
            PriceKey(cube.values["provider"][p], cube.values["model"][m])
            for cube in (self.case.mix.now, *self.case.mix.before)
            for p, m in zip(cube.codes["provider"].tolist(), cube.codes["model"].tolist(), strict=True)
        }


def _use(use: KeyUse) -> dict[str, Cell]:
    return {
        "usd": number(use.hours.total("cost_nanos") / 1e9),
        "requests": use.hours.total("requests"),
        "hours_of_day": len({start // 3600 % 24 for start in use.hours.bucket.tolist()}),
    }


def _texts(use: KeyUse) -> dict[str, set[str]]:
    """The distinct values that a key was seen with; only their number is told."""
    calls = Calls([use.calls])
    found = {
        "models": use.hours.values["model"],
        "apps": use.hours.values["app"],
        "regions": calls.text("region").values,
        "end_users": calls.text("end_user").values,
    }
    return {name: set(values) - {NONE} for name, values in found.items()}
