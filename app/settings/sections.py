"""The sections of the configuration file."""

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from app.domain.alerts import Limits
from app.domain.evidence import Evidence
from app.domain.retries import RetryPolicy
from app.domain.rules import Repeat
from app.domain.sources import LONGEST_WINDOW_SECONDS, RefusalLimit
from app.platforms.kit.options import NAME_PATTERN
from app.settings.durations import Duration
from app.settings.receivers import Receiver

# The shortest time in seconds for which attempts are kept.
_SHORTEST_MEMORY = 2_592_000
_USUAL_PORTS: Mapping[str, str] = {"http": ":80", "https": ":443"}
# Browsers send the origin null for pages under these.
_WITHOUT_ORIGIN = frozenset({"about", "blob", "data", "file", "javascript"})
_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_browsers_send_it(origin: str) -> str:
    """Refuse an origin in a form that no browser sends, and so no page would match."""
    scheme, _, host = origin.partition("://")
    # Pages in apps have schemes of their own: capacitor://localhost, app://shop.
    is_origin = re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s*@?#\\]+", origin) and origin.isascii()
    is_usual = scheme in _USUAL_PORTS and host.endswith(_USUAL_PORTS[scheme])
    if not is_origin or origin != origin.lower() or is_usual or scheme in _WITHOUT_ORIGIN:
        raise ValueError(
            'write an origin as browsers send it, such as "https://shop.example" or '
            '"capacitor://localhost": in small letters, without a path, a star or the usual port'
        )
    return origin


class WebSection(Section):
    """Who may call us, and how much we read."""

    max_callback_bytes: int = Field(
        default=4_194_304,
        ge=1_024,
        le=67_108_864,
        description="Largest body of a callback; a larger one gets a 413.",
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="The number of your proxies in front. Each is trusted for one address "
        "in X-Forwarded-For. Danger: one too many lets callers choose their own address.",
    )
    cors_origins: tuple[Annotated[str, AfterValidator(_as_browsers_send_it)], ...] = Field(
        default=(),
        description="Origins of shop pages and apps that may post claims. None means no other "
        "origin.",
    )
    cors_headers: tuple[Annotated[str, Field(pattern=_HEADER)], ...] = Field(
        default=(),
        description="Further headers that such a page may send. Those that monitoring adds to "
        "every call, such as traceparent, are always allowed, and ignored.",
    )


class HistorySection(Section):
    """How much people may read at once, so that callbacks do not wait. For each process."""

    queries: int = Field(
        default=1,
        ge=1,
        le=6,
        description="Searches, counts and pages of exports that run at once; others wait.",
    )
    query_wait: Duration = Field(
        default=5, le=30, description="Longest wait for a slot; then the answer is a 503."
    )
    query_deadline: Duration = Field(
        default=5, gt=0, le=30, description="Longest run time of a query; then the answer is a 503."
    )
    exports: int = Field(
        default=4, ge=1, le=64, description="Exports that run at once; more get a 503."
    )
    export_deadline: Duration = Field(
        default=3_600, gt=0, description="Longest time for an export; then it is cut off."
    )


class ClaimsSection(Section):
    """Claim tokens and claims."""

    default_ttl: Duration = Field(
        default=3_600, ge=10, description="Lifetime of a token when the backend names none."
    )
    max_ttl: Duration = Field(
        default=86_400,
        ge=10,
        le=_SHORTEST_MEMORY,
        description="Longest lifetime a backend may request. Attempts are kept as long: a token "
        "that outlived its attempt would create another.",
    )
    checking_for: Duration = Field(
        default=604_800, ge=1, description="How long a claim waits for its proof, then `expired`."
    )
    per_customer_per_minute: int = Field(
        default=20, ge=1, description="Claims by one customer; more get a 429."
    )
    per_address_per_minute: int = Field(
        default=120, ge=1, description="Claims from one address; more get a 429."
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


def _zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name. Raises `ValueError`."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # An OSError: the name is a folder of the time zone database, such as "Europe".
        raise ValueError('is not the IANA name of a time zone, such as "Europe/Berlin"') from None


def _known_zone(name: str) -> str:
    _zone(name)
    return name


class AwardsSection(Section):
    """What counts as one award."""

    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC",
        description="The IANA name of the time zone for the days, weeks and months of `per_day`, "
        "`per_week` and `per_month`. A change does not pay any date again.",
    )

    @property
    def zone(self) -> tzinfo:
        return _zone(self.time_zone)


Delays = Annotated[tuple[Annotated[Duration, Field(gt=0)], ...], Field(min_length=1)]


class GameballSection(Section):
    """Calls to Gameball."""

    connect_timeout: Duration = Field(default=3.05, gt=0, le=60, description="To connect.")
    read_timeout: Duration = Field(
        default=10, gt=0, le=120, description="Time-out between two reads of an answer."
    )
    per_second: int = Field(default=30, ge=1, description="Calls in any second.")
    per_30_seconds: int = Field(default=360, ge=1, description="Calls in any 30 seconds.")
    window_at_least: Duration = Field(
        default=30,
        description="For this long Gameball certainly answers 4000 to a repeat. Too long risks a "
        "second reward after a time-out; too short only costs reads.",
    )
    window_at_most: Duration = Field(
        default=900,
        gt=0,
        description="After this time it certainly no longer does, and a grant is visible. Too "
        "short risks a second reward.",
    )
    retry_delays: Delays = Field(
        default=(2, 5, 15, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400),
        description="Delays after no answer or a 5xx; then the attempt is `dead`.",
    )
    missing_customer_delays: Delays = Field(
        default=(300, 3_600, 21_600, 86_400, 259_200),
        description="Delays while Gameball does not know the customer; then `dead`.",
    )
    busy_delays: Delays = Field(
        default=(1, 2, 5, 10, 30, 60, 300, 900),
        description="Delays while Gameball handles another request for the customer; then `dead`.",
    )
    echo_delays: Delays = Field(
        default=(900, 1_800, 3_600, 21_600),
        description="Delays after a 4000 for somebody else's submission; then `dead`.",
    )
    jitter: float = Field(
        default=0.1, ge=0, le=1, description="Largest random share that is added to a delay."
    )
    probe_every: Duration = Field(
        default=30, gt=0, description="Time between two probes while forwarding is paused."
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
            schedules={
                "retry": self.retry_delays,
                "missing_customer": self.missing_customer_delays,
                "busy": self.busy_delays,
                "echo": self.echo_delays,
            },
            window_at_least_seconds=self.window_at_least,
            window_at_most_seconds=self.window_at_most,
            jitter=self.jitter,
        )


class WorkerSection(Section):
    """How attempts are submitted."""

    threads: int = Field(default=8, ge=1, le=64, description="Submissions in flight per process.")
    poll_every: Duration = Field(
        default=0.5,
        gt=0,
        le=60,
        description="Longest time until a process sees work created by another.",
    )


class ReadBefore(StrEnum):
    """Which attempts' counts are read before they are submitted."""

    NEVER = "never"
    WAITED = "waited"
    ALWAYS = "always"


class ConfirmationSection(Section):
    """How Vouch finds out whether an accepted attempt was rewarded."""

    delays: Delays = Field(
        default=(90, 240, 660, 2_700, 18_000),
        description="Delays before the first lookup and between lookups; the last repeats.",
    )
    give_up_after: Duration = Field(
        default=86_400,
        gt=0,
        description="After this time an attempt without a result is `unconfirmed`; after twice "
        "this time if Gameball could not be read.",
    )
    read_before: ReadBefore = Field(
        default=ReadBefore.WAITED,
        description="For which attempts Gameball's count is read before the submission: `never`, "
        "`waited` (not submitted at once), or `always`, which delays every submission.",
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
    """When alerts are raised. Nobody is notified without a ``[[receivers]]`` table."""

    within: Duration = Field(
        default=3_600,
        ge=300,
        le=LONGEST_WINDOW_SECONDS,
        description="The window over which all shares are computed.",
    )
    dead_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Alert when this share of the attempts that ended within the window became "
        "`dead`; 0: never.",
    )
    dead_of_at_least: int = Field(
        default=10, ge=1, description="Fewer such attempts raise no alert."
    )
    refused_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Alert when this share of a source's callbacks within the window was "
        "refused; 0: never.",
    )
    refused_of_at_least: int = Field(
        default=10, ge=1, description="Fewer such callbacks raise no alert."
    )
    backlog_older_than: Duration = Field(
        default=900,
        description="Alert when an attempt has been due for this long; 0: never.",
    )
    granted_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Alert when less than this share of the accepted attempts whose result "
        "became known within the window was granted; 0: never.",
    )
    granted_of_at_least: int = Field(
        default=20, ge=1, description="Fewer such attempts raise no alert."
    )

    lasts_at_least: Duration = Field(
        default=300,
        le=86_400,
        description="Shortest time until an alert of a share or the backlog is cleared.",
    )

    def limits(self) -> Limits:
        return Limits(
            within_seconds=self.within,
            dead_share=self.dead_share,
            dead_of_at_least=self.dead_of_at_least,
            backlog_seconds=self.backlog_older_than,
            granted_share=self.granted_share,
            granted_of_at_least=self.granted_of_at_least,
            lasts_seconds=self.lasts_at_least,
        )

    def refusals(self) -> RefusalLimit:
        return RefusalLimit(self.refused_share, self.refused_of_at_least, self.within)


class RetentionSection(Section):
    """How long data is kept. Identities are kept until unlinked; the ledger's hashes, for ever."""

    payloads: Duration = Field(
        default=2_592_000, ge=3_600, description="Platforms' payloads, after their receipt."
    )
    contacts: Duration = Field(
        default=2_592_000,
        ge=86_400,
        description="Email and mobile of an attempt and a claim's statement, after it ended.",
    )
    attempts: Duration = Field(
        default=94_608_000,
        ge=_SHORTEST_MEMORY,
        description="Attempts that ended, with their timelines, submissions and grants.",
    )
    events: Duration = Field(
        default=94_608_000,
        ge=2_592_000,
        description="Everything of an event except its key's hash. Danger: a later undoing is "
        "not recognised.",
    )
    bulk_jobs: Duration = Field(
        default=94_608_000,
        ge=86_400,
        description="Bulk jobs that ended. Timelines of attempts name them.",
    )
    alerts: Duration = Field(
        default=31_536_000, ge=86_400, description="Cleared alerts and their notifications."
    )
    audit: Duration = Field(
        default=157_680_000, ge=2_592_000, description="Entries of the audit log."
    )


class RuleTable(Section):
    """One ``[[rules]]`` table."""

    challenge_id: int = Field(ge=1, le=2_147_483_647, description="Gameball's campaign id.")
    source: str | None = Field(default=None, description="Only events of this source.")
    platform: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="Instead of a source: any source of the platform.",
    )
    action: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$", description="Our word for the action.")
    target: str | None = Field(default=None, min_length=1, max_length=255)
    evidence: Evidence = Field(
        default=Evidence.SIGNED, description="The weakest evidence that is accepted."
    )
    repeat: Repeat = Field(default=Repeat.ONCE, description="How often the action is rewarded.")
    hold: Duration = Field(
        default=0, description="How long an earned award waits in case the action is undone."
    )
    bar_after_undo: bool = Field(
        default=False,
        description="Bar an account from the challenge when it undoes an action after its hold.",
    )


class FileModel(Section):
    """The whole file; the adapters validate their sources."""

    sources: tuple[dict[str, Any], ...] = ()
    rules: tuple[RuleTable, ...] = ()
    web: WebSection = WebSection()
    history: HistorySection = HistorySection()
    claims: ClaimsSection = ClaimsSection()
    attempts: AttemptsSection = AttemptsSection()
    awards: AwardsSection = AwardsSection()
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
                "that, nobody can know that there is no reward"
            )
        return self
