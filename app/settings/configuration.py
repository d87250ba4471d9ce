"""What does the configuration file say?"""

import contextlib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.domain.alerts import Limits
from app.domain.evidence import Evidence
from app.domain.retries import RetryPolicy
from app.domain.rules import Repeat, Rule
from app.domain.sources import LONGEST_WINDOW_SECONDS, Expected, RefusalLimit
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.options import NAME_PATTERN
from app.settings.durations import Duration
from app.settings.errors import ConfigurationError, Mistake
from app.settings.places import place
from app.settings.receivers import Receiver


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebSection(Section):
    """Who may call us, and how much we read."""

    max_callback_bytes: int = Field(
        default=4_194_304,
        ge=1_024,
        le=67_108_864,
        description="Largest body of a callback; a larger one is answered 413.",
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many proxies of yours stand in front. Each is believed about one address "
        "in X-Forwarded-For. Danger: one too many lets callers choose their own address.",
    )
    cors_origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s*]+$")], ...] = Field(
        default=(),
        description="Origins of shop pages that may post claims. None means no other origin.",
    )


class ClaimsSection(Section):
    """How claim tokens and claims behave."""

    default_ttl: Duration = Field(
        default=3_600, ge=10, description="Life of a token when the backend names none."
    )
    max_ttl: Duration = Field(default=86_400, ge=10, description="Longest life a backend may ask.")
    checking_for: Duration = Field(
        default=604_800, ge=1, description="How long a claim waits for its proof, then `expired`."
    )
    per_customer_per_minute: int = Field(
        default=20, ge=1, description="Claims by one customer; more are answered 429."
    )
    per_address_per_minute: int = Field(
        default=120, ge=1, description="Claims from one address; more are answered 429."
    )

    @model_validator(mode="after")
    def _lives_are_ordered(self) -> Self:
        if self.default_ttl > self.max_ttl:
            raise ValueError("default_ttl must not exceed max_ttl")
        return self


class AttemptsSection(Section):
    """How long attempts wait."""

    unlinked_for: Duration = Field(
        default=2_592_000,
        ge=1,
        description="How long an event of an unknown account waits to be linked, then `expired`.",
    )


Delays = Annotated[tuple[Annotated[Duration, Field(gt=0)], ...], Field(min_length=1)]


class GameballSection(Section):
    """How we speak to Gameball."""

    connect_timeout: Duration = Field(default=3.05, gt=0, le=60, description="To connect.")
    read_timeout: Duration = Field(
        default=10, gt=0, le=120, description="Between two reads of an answer."
    )
    per_second: int = Field(default=30, ge=1, description="Calls in any second.")
    per_30_seconds: int = Field(default=360, ge=1, description="Calls in any 30 seconds.")
    window_at_least: Duration = Field(
        default=30,
        description="How long Gameball surely still answers 4000 to a repeat. Too long risks a "
        "second reward after a time-out; too short only costs reads.",
    )
    window_at_most: Duration = Field(
        default=900,
        gt=0,
        description="After how long it surely no longer does, and a grant is surely visible. Too "
        "short risks a second reward.",
    )
    retry_delays: Delays = Field(
        default=(2, 5, 15, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400),
        description="After no answer or a 5xx; then the attempt is `dead`.",
    )
    missing_customer_delays: Delays = Field(
        default=(300, 3_600, 21_600, 86_400, 259_200),
        description="While Gameball does not know the customer; then `dead`.",
    )
    busy_delays: Delays = Field(
        default=(1, 2, 5, 10, 30, 60, 300, 900),
        description="While Gameball works on another request for the customer; then `dead`.",
    )
    echo_delays: Delays = Field(
        default=(900, 1_800, 3_600, 21_600),
        description="After the 4000 of somebody else's submission; then `dead`.",
    )
    jitter: float = Field(
        default=0.1, ge=0, le=1, description="Share of a delay that chance may add, never take."
    )
    probe_every: Duration = Field(
        default=30, gt=0, description="While forwarding is paused: the time between two probes."
    )
    create_missing_customers: bool = Field(
        default=False,
        description="Create customers Gameball does not know. Danger: it can hand out a welcome "
        "bonus.",
    )

    @model_validator(mode="after")
    def _window_is_ordered(self) -> Self:
        if self.window_at_least > self.window_at_most:
            raise ValueError("window_at_least must not exceed window_at_most")
        return self

    def policy(self) -> RetryPolicy:
        return RetryPolicy(
            {
                "retry": self.retry_delays,
                "missing_customer": self.missing_customer_delays,
                "busy": self.busy_delays,
                "echo": self.echo_delays,
            },
            self.window_at_least,
            self.window_at_most,
            self.jitter,
        )


class WorkerSection(Section):
    """How attempts are turned into submissions."""

    threads: int = Field(default=8, ge=1, le=64, description="Submissions in flight per process.")
    poll_every: Duration = Field(
        default=0.5, gt=0, le=60, description="Longest time until work of another process is seen."
    )


class ReadBefore(StrEnum):
    """Which attempts' counts are read before they are submitted."""

    NEVER = "never"
    WAITED = "waited"
    ALWAYS = "always"


class ConfirmationSection(Section):
    """How it is found out whether an accepted attempt was rewarded."""

    delays: Delays = Field(
        default=(90, 240, 660, 2_700, 18_000),
        description="From acceptance to the first look, and between looks; the last repeats.",
    )
    give_up_after: Duration = Field(
        default=86_400,
        gt=0,
        description="After how long an attempt is `unconfirmed` if nothing could be known; twice "
        "as long if Gameball could not be read.",
    )
    read_before: ReadBefore = Field(
        default=ReadBefore.WAITED,
        description="Of which attempts Gameball's count is read before the submission: `never`, "
        "`waited` (what was not submitted at once), or `always`, which delays every submission.",
    )
    refuse_ineligible: bool = Field(
        default=False,
        description="Ask `canAchieve` before every submission, and refuse the attempt of a "
        "customer who cannot be rewarded. Danger: delays every submission by one read.",
    )
    reads_per_second: int = Field(default=100, ge=1, description="Reads of customers.")
    reads_per_30_seconds: int = Field(default=1_200, ge=1, description="Reads of customers.")
    transactions_per_second: int = Field(default=30, ge=1, description="Reads of transactions.")
    transactions_per_30_seconds: int = Field(
        default=360, ge=1, description="Reads of transactions."
    )
    threads: int = Field(default=4, ge=1, le=64, description="Reads in flight per process.")


class AlertsSection(Section):
    """When somebody is woken. Nobody is, unless there is a ``[[receivers]]`` table."""

    within: Duration = Field(
        default=3_600,
        ge=300,
        le=LONGEST_WINDOW_SECONDS,
        description="The window over which all shares are taken.",
    )
    dead_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Of the attempts that came to an end within the window, the share that became "
        "`dead`, from which on it is wrong; 0: never.",
    )
    dead_of_at_least: int = Field(
        default=10, ge=1, description="Of fewer such attempts nothing is concluded."
    )
    refused_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Of a source's callbacks within the window, the share that was refused, from "
        "which on it is wrong; 0: never.",
    )
    refused_of_at_least: int = Field(
        default=10, ge=1, description="Of fewer such callbacks nothing is concluded."
    )
    backlog_older_than: Duration = Field(
        default=900, description="How long an attempt has been due and not submitted; 0: never."
    )
    granted_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Of the accepted attempts whose truth became known within the window, the "
        "share that was granted, below which it is wrong; 0: never.",
    )
    granted_of_at_least: int = Field(
        default=20, ge=1, description="Of fewer such attempts nothing is concluded."
    )

    def limits(self) -> Limits:
        return Limits(
            self.within,
            self.dead_share,
            self.dead_of_at_least,
            self.backlog_older_than,
            self.granted_share,
            self.granted_of_at_least,
        )

    def refusals(self) -> RefusalLimit:
        return RefusalLimit(self.refused_share, self.refused_of_at_least, self.within)


class RetentionSection(Section):
    """How long what is kept. Identities are kept until unlinked; the ledger's hashes, for ever."""

    payloads: Duration = Field(
        default=2_592_000, ge=3_600, description="Platforms' payloads, from their receipt on."
    )
    contacts: Duration = Field(
        default=2_592_000,
        ge=86_400,
        description="Email and mobile of an attempt and a claim's statement, after it ended.",
    )
    attempts: Duration = Field(
        default=94_608_000,
        ge=2_592_000,
        description="Attempts that ended, with their timelines, submissions and grants.",
    )
    events: Duration = Field(
        default=94_608_000,
        ge=2_592_000,
        description="All of an event but its key's hash. Danger: what is undone later than that "
        "is not recognised.",
    )
    bulk_jobs: Duration = Field(
        default=94_608_000,
        ge=86_400,
        description="Bulk jobs that are over. Timelines of attempts name them.",
    )
    alerts: Duration = Field(
        default=31_536_000, ge=86_400, description="Alerts that were cleared, and who was told."
    )
    audit: Duration = Field(
        default=157_680_000, ge=2_592_000, description="Entries of the audit log."
    )


class RuleTable(Section):
    """One ``[[rules]]`` table."""

    challenge_id: int = Field(ge=1, le=2_147_483_647, description="Gameball's campaign id.")
    source: str | None = Field(default=None, description="Only events of this source.")
    platform: str | None = Field(
        default=None, pattern=NAME_PATTERN, description="Instead of a source: any of the platform."
    )
    action: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$", description="Our word for the action.")
    target: str | None = Field(default=None, min_length=1, max_length=255)
    evidence: Evidence = Field(default=Evidence.SIGNED, description="The least that is accepted.")
    repeat: Repeat = Field(default=Repeat.ONCE, description="What makes two awards different.")
    hold: Duration = Field(default=0, description="How long an earned award waits to be undone.")
    bar_after_undo: bool = Field(
        default=False,
        description="Bar the account from the challenge once it undid an action after its hold.",
    )


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration file that is right as a whole."""

    path: Path
    sources: Mapping[str, Adapter]
    rules: tuple[Rule, ...]
    web: WebSection
    claims: ClaimsSection
    attempts: AttemptsSection
    gameball: GameballSection
    confirmation: ConfirmationSection
    retention: RetentionSection
    worker: WorkerSection
    alerts: AlertsSection
    receivers: tuple[Receiver, ...]

    @property
    def expected(self) -> dict[str, Expected]:
        """What each source does while all is well."""
        refusals = self.alerts.refusals()
        return {
            name: replace(adapter.expected, refusals=refusals)
            for name, adapter in self.sources.items()
        }


class FileModel(Section):
    """The whole file, except that sources are validated by their adapters."""

    sources: tuple[dict[str, Any], ...] = ()
    rules: tuple[RuleTable, ...] = ()
    web: WebSection = WebSection()
    claims: ClaimsSection = ClaimsSection()
    attempts: AttemptsSection = AttemptsSection()
    gameball: GameballSection = GameballSection()
    confirmation: ConfirmationSection = ConfirmationSection()
    retention: RetentionSection = RetentionSection()
    worker: WorkerSection = WorkerSection()
    alerts: AlertsSection = AlertsSection()
    receivers: tuple[Receiver, ...] = ()

    @field_validator("receivers")
    @classmethod
    def _names_differ(cls, receivers: tuple[Receiver, ...]) -> tuple[Receiver, ...]:
        if len({receiver.name for receiver in receivers}) != len(receivers):
            raise ValueError("two receivers have the same name")
        return receivers

    @model_validator(mode="after")
    def _grants_show_in_time(self) -> Self:
        if self.confirmation.give_up_after < self.gameball.window_at_most:
            raise ValueError(
                "confirmation.give_up_after must not be less than gameball.window_at_most: before "
                "that, nobody can say that there is no reward"
            )
        return self


def load_configuration(path: Path, variables: Mapping[str, str] | None = None) -> Configuration:
    """Read and validate the file. Raises `ConfigurationError` with every mistake and its place."""
    text = _read(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([Mistake(str(path), f"is not TOML: {error}")]) from None
    return _Validation(path, text, dict(os.environ if variables is None else variables)).run(data)


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        hint = "copy config/vouch.example.toml there, or name yours in VOUCH_CONFIG"
        problem = f"cannot be read ({type(error).__name__}); {hint}"
        raise ConfigurationError([Mistake(str(path), problem)]) from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError([Mistake(str(path), "is not UTF-8")]) from None


class _Validation:
    """One pass over one file that collects mistakes instead of stopping at the first."""

    def __init__(self, path: Path, text: str, variables: Mapping[str, str]) -> None:
        self.path = path
        self.text = text
        self.variables = variables
        self.mistakes: list[Mistake] = []

    def run(self, data: dict[str, Any]) -> Configuration:
        tables = data.pop("sources", [])
        sources = self._sources(tables)
        model = self._model(data)
        rules = tuple(self._rules(_right_rules(data), sources, _named(tables)))
        if self.mistakes or model is None:
            raise ConfigurationError(self.mistakes)
        sections = {name: getattr(model, name) for name in FileModel.model_fields}
        return Configuration(self.path, **{**sections, "sources": sources, "rules": rules})

    def _model(self, data: dict[str, Any]) -> FileModel | None:
        try:
            return FileModel.model_validate(data, context={"resolve": self._resolve})
        except ValidationError as error:
            self._collect(error, ())
            return None

    def _sources(self, tables: object) -> dict[str, Adapter]:
        sources: dict[str, Adapter] = {}
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._mistake(("sources",), "write each source as a [[sources]] table")
            return sources
        for position, table in enumerate(tables):
            adapter = self._source(position, table)
            if adapter is None:
                continue
            if adapter.source.name in sources:
                self._mistake(("sources", position, "name"), "another source has this name")
            sources[adapter.source.name] = adapter
        return sources

    def _source(self, position: int, table: dict[str, Any]) -> Adapter | None:
        kind = adapters().get(str(table.get("platform")))
        if kind is None:
            known = ", ".join(sorted(adapters()))
            self._mistake(("sources", position, "platform"), f"is not one of: {known}")
            return None
        try:
            return kind(kind.config.model_validate(table, context={"resolve": self._resolve}))
        except ValidationError as error:
            self._collect(error, ("sources", position))
            return None

    def _rules(
        self,
        tables: Iterable[tuple[int, RuleTable]],
        sources: Mapping[str, Adapter],
        named: frozenset[str],
    ) -> Iterator[Rule]:
        for position, table in tables:
            platform = table.platform
            if table.source is not None and table.source not in named:
                self._mistake(("rules", position, "source"), f"no source is named {table.source!r}")
            elif table.source is not None and table.source in sources:
                adapter = sources[table.source]
                platform = adapter.source.accounts or adapter.name
                if table.platform not in (None, platform, adapter.name):
                    problem = f"the source {table.source!r} is of {platform!r}"
                    self._mistake(("rules", position, "platform"), problem)
            elif table.source is None and platform is None:
                self._mistake(("rules", position), "name a source, or a platform")
            yield Rule(
                challenge_id=table.challenge_id,
                platform=platform or "",
                action=table.action,
                source=table.source,
                target=table.target,
                evidence=table.evidence,
                repeat=table.repeat,
                hold_seconds=table.hold,
                bar_after_undo=table.bar_after_undo,
            )

    def _resolve(self, value: object) -> object:
        """Read ``env:NAME`` or ``file:PATH``. A secret written into the file itself is refused."""
        if not isinstance(value, str):
            return value
        kind, _, rest = value.partition(":")
        if kind == "env" and rest:
            return self._from_environment(rest)
        if kind == "file" and rest:
            return self._from_file(rest)
        raise ValueError("write a secret as env:NAME or file:PATH, never the secret itself")

    def _from_environment(self, name: str) -> str:
        secret = self.variables.get(name, "").strip()
        if not secret:
            raise ValueError(f"the environment variable {name} is not set or empty")
        return secret

    def _from_file(self, name: str) -> str:
        path = self.path.parent / name
        try:
            secret = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file {name} cannot be read: {type(error).__name__}") from None
        if not secret:
            raise ValueError(f"the file {name} is empty")
        return secret

    def _collect(self, error: ValidationError, prefix: tuple[int | str, ...]) -> None:
        details = error.errors(include_input=False, include_url=False)
        broken = {detail["loc"][:-1] for detail in details}
        for detail in details:
            # A list is called too short only because its items are broken; those are named.
            if detail["type"] == "too_short" and detail["loc"] in broken:
                continue
            self._mistake((*prefix, *detail["loc"]), detail["msg"].removeprefix("Value error, "))

    def _mistake(self, location: Sequence[int | str], problem: str) -> None:
        self.mistakes.append(Mistake(place(self.text, location), problem))


def _named(tables: object) -> frozenset[str]:
    """The names that sources were given, those of sources with mistakes included."""
    named = tables if isinstance(tables, list) else []
    return frozenset(str(table.get("name")) for table in named if isinstance(table, dict))


def _right_rules(data: Mapping[str, Any]) -> Iterator[tuple[int, RuleTable]]:
    """The rules without a mistake of their own, so that one mistake does not hide others."""
    tables = data.get("rules", [])
    for position, table in enumerate(tables if isinstance(tables, list) else []):
        with contextlib.suppress(ValidationError):
            yield position, RuleTable.model_validate(table)
