"""The operator's one file as one tree. Every key is known, every secret comes from the environment."""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from agent.detectors.settings import DetectorSettings
from agent.policy import Policy
from store.errors import BadInput
from store.model.allocation import Allocation
from store.model.amendment import Amendment
from store.model.budget import Budget
from store.model.charge import Charge
from store.model.currency import CurrencyRate
from store.model.usage import BillingMode, Role
from store.price_overrides import Override
from tools.actuators.settings import (
    AnthropicAdminSettings,
    GuardSettings,
    LiteLLMAdminSettings,
    OpenAIAdminSettings,
    PullRequestSettings,
)
from tools.reasoner.settings import ReasonerSettings
from tools.slack.settings import SlackSettings
from tools.sources.settings import OtlpSettings, PullSettings

_SECRET = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(_Part):
    """One place where usage comes from: files, or an API that is pulled."""

    name: str
    """The instance; it stands in every record as `source`."""
    format: Literal["litellm", "tabular", "otlp", "focus", "cur", "anthropic", "openai", "langfuse"]
    paths: tuple[str, ...] = ()
    """Files or glob patterns; a changed file is read again, which is safe: records are deduplicated."""
    pull: PullSettings | None = None
    """For litellm, anthropic, openai and langfuse."""
    map: Path | None = None
    """The mapping file of a tabular source."""
    role: Role = "metered"
    billing_mode: BillingMode = "metered"
    """How an otlp source is paid: `included` for coding agents on seats. Other formats say it themselves."""

    @model_validator(mode="after")
    def _one_door(self) -> "SourceSettings":
        if bool(self.paths) == bool(self.pull):
            raise ValueError(f"source {self.name}: give either `paths` or `pull`")
        if self.pull is not None:
            self.pull.check(self.name, self.format)
        return self


class LedgerSettings(_Part):
    """Where the state is kept."""

    url: str | None = None
    """None: SQLite in the data directory. Else postgresql+psycopg://USER@HOST/DATABASE; use ${NAME} for secrets."""


class WeeklySettings(_Part):
    """When the weekly summary is made: at this local wall time."""

    time_zone: str = "UTC"
    weekday: int = Field(default=0, ge=0, le=6)
    """0 is Monday."""
    hour: int = Field(default=9, ge=0, le=23)


class ScheduleSettings(_Part):
    """How often the service looks."""

    tick_seconds: int = Field(default=60, ge=1)
    source_delay_seconds: int = Field(default=300, ge=0)
    """A bucket is judged this long after its end."""
    retry_seconds: int = Field(default=60, ge=1)
    """Between two looks at a change that is not settled; a person is called after three in vain."""
    claim_seconds: int = Field(default=120, ge=20)
    """What a process held when it died is taken up after so long; a call to a gateway gives up after 10 s."""
    weekly: WeeklySettings = WeeklySettings()


class RetentionSettings(_Part):
    """How long usage is kept; what is older is dropped once a day."""

    records_days: int = Field(default=90, ge=45)
    """Single requests. Providers correct themselves for 35 days, and an incident is compared with the weeks before."""
    fine_rollups_days: int = Field(default=90, ge=35)
    """5-minute roll-ups; detectors learn from four weeks of them."""
    rollups_days: int = Field(default=800, ge=45)
    """Hourly roll-ups: 800 days hold a month and the same month of two years before."""

    @model_validator(mode="after")
    def _longest_last(self) -> "RetentionSettings":
        if self.rollups_days < max(self.records_days, self.fine_rollups_days):
            raise ValueError("rollups_days must be at least as long as records_days and fine_rollups_days")
        return self


class IntakeSettings(_Part):
    """Usage that gateways push to POST /v1/usage; the guard's token opens that door too."""

    token: SecretStr | None = Field(default=None, min_length=16)
    """What LiteLLM's generic callback shows us; use ${BURSAR_INTAKE_TOKEN}. None: only the guard may push."""
    source: str = "litellm"
    """Stands in every record; give it the name of the file source of the same proxy, where there is one."""
    otlp: OtlpSettings | None = None
    """None: the OTLP receiver is closed."""


class ServerSettings(_Part):
    """The HTTP API: health, readiness, metrics, intake, and the guard's rules."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)


class Settings(_Part):
    """All of bursar.yaml. Without a file every default holds: embedded stores, no gateway, nothing applied."""

    data_dir: Path = Path("bursar-data")
    sources: tuple[SourceSettings, ...] = ()
    ledger: LedgerSettings = LedgerSettings()
    prices: tuple[Override, ...] = ()
    allocation: Allocation = Allocation()
    budgets: tuple[Budget, ...] = ()
    """`bursar budgets import` adds others; a name that stands here wins."""
    charges: tuple[Charge, ...] = ()
    """`bursar charges import` adds others; a name that stands here wins."""
    currencies: tuple[CurrencyRate, ...] = ()
    detectors: DetectorSettings = DetectorSettings()
    playbooks: dict[str, dict[str, object]] = {}
    """Parameters by playbook, where the defaults do not fit; `bursar playbooks` lists them."""
    policy: Policy = Policy()
    schedule: ScheduleSettings = ScheduleSettings()
    retention: RetentionSettings = RetentionSettings()
    server: ServerSettings = ServerSettings()
    guard: GuardSettings | None = None
    litellm_admin: LiteLLMAdminSettings | None = None
    anthropic_admin: AnthropicAdminSettings | None = None
    openai_admin: OpenAIAdminSettings | None = None
    pull_request: PullRequestSettings | None = None
    intake: IntakeSettings = IntakeSettings()
    slack: SlackSettings | None = None
    """None: people decide by the command line."""
    reasoner: ReasonerSettings | None = None
    """None: the analyst alone, no call to a model."""

    @cached_property
    def amendment(self) -> Amendment:
        """What the allocation rules and currency rates make of usage on its way in."""
        return Amendment(self.allocation.rules, self.currencies)

    @property
    def ledger_url(self) -> str:
        """The ledger's database URL."""
        return self.ledger.url or f"sqlite:///{self.data_dir / 'ledger.db'}"


class Loaded(BaseModel):
    """Settings, and where each value that is not a default came from: "bursar.yaml", "${NAME}", "--data-dir"."""

    model_config = ConfigDict(frozen=True)

    settings: Settings
    origin: dict[str, str]


def load(path: Path | None, *, data_dir: Path | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read the configuration file; `bursar.yaml` of this folder if it exists and no other is named.

    Raises:
        BadInput: the file is absent or not YAML, a key is unknown, a value is wrong, or a secret is not set;
            the message names the file and the key.
    """
    environ = os.environ if environment is None else environment
    origin: dict[str, str] = {}
    if path is None and Path("bursar.yaml").exists():
        path = Path("bursar.yaml")
    tree = {} if path is None else _read(path, environ, origin)
    if data_dir is not None:
        tree["data_dir"], origin["data_dir"] = str(data_dir), "--data-dir"
    try:
        return Loaded(settings=Settings.model_validate(tree), origin=origin)
    except ValidationError as error:
        raise BadInput(f"{path or 'the command line'}: {_first_problem(error)}") from error


def _read(path: Path, environ: Mapping[str, str], origin: dict[str, str]) -> dict[str, object]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); write one with `bursar init`") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not YAML: {error}") from error
    if not isinstance(tree, dict):
        raise BadInput(f"{path}: expected keys such as `sources:` at the top, found {type(tree).__name__}")
    filled = _fill(tree, environ, path, "", origin)
    assert isinstance(filled, dict)
    return filled


def _fill(value: object, environ: Mapping[str, str], path: Path, key: str, origin: dict[str, str]) -> object:
    """Put secrets in for ${NAME}, and note where each leaf came from."""
    if isinstance(value, dict):
        return {k: _fill(v, environ, path, f"{key}.{k}" if key else str(k), origin) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, environ, path, f"{key}[{i}]", origin) for i, v in enumerate(value)]
    origin[key] = path.name
    if not isinstance(value, str) or not _SECRET.search(value):
        return value
    for name in _SECRET.findall(value):
        if name not in environ:
            raise BadInput(f"{path}: {key}: the environment variable {name} is not set; export it and start again")
    origin[key] = ", ".join(f"${{{name}}}" for name in _SECRET.findall(value))
    return _SECRET.sub(lambda match: environ[match.group(1)], value)


def _first_problem(error: ValidationError) -> str:
    """One line: where, what, and what would be right."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "(top)"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key; see bursar.example.yaml for those that exist"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    secret = where.endswith(("token", "key", "secret", "password", "url"))
    found = "" if secret else f"; found {first['input']!r}"
    return f"{where}: {first['msg']}{found}{more}"
