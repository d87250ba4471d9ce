"""Check the Gameball credentials and the challenges that the rules name."""

from collections.abc import Iterator

from app.cli.checks.configured import Configured
from app.cli.checks.findings import Finding, error, ok, warning
from app.domain.rules import Repeat, Rule
from app.gameball.campaigns import Campaign, Unreadable, list_campaigns
from app.gameball.client import GameballAccount, GameballClient
from app.settings.environment import Environment

PLACE = "GAMEBALL_API_KEY"


def check_gameball(environment: Environment, configured: Configured | None) -> Iterator[Finding]:
    """Read the campaigns. This changes nothing at Gameball."""
    client = GameballClient(account_of(environment))
    try:
        campaigns = list_campaigns(client)
    except Unreadable as failure:
        yield _unreadable(environment, failure)
        return
    finally:
        client.close()
    yield ok(PLACE, f"Gameball takes the credentials and lists {len(campaigns)} campaigns")
    if configured is not None:
        yield from _challenges(configured, campaigns)


def account_of(environment: Environment) -> GameballAccount:
    return GameballAccount(
        base_url=environment.gameball_base_url,
        api_version=environment.gameball_api_version,
        api_key=environment.gameball_api_key,
        secret_key=environment.gameball_secret_key,
    )


def _unreadable(environment: Environment, failure: Unreadable) -> Finding:
    if failure.status is None:
        place, told = "GAMEBALL_BASE_URL", "does not answer"
    elif failure.status in (401, 403):
        place, told = PLACE, "Gameball refuses the credentials"
    else:
        place, told = (
            "GAMEBALL_BASE_URL",
            f"answers {failure.status} at {environment.gameball_api_version}",
        )
    code = f" (code {failure.code})" if failure.code is not None else ""
    return error(place, f"{told}: {failure}{code}")


def _challenges(configured: Configured, campaigns: dict[int, Campaign]) -> Iterator[Finding]:
    if configured.rules and not campaigns:
        place = configured.place("rules", 0, "challenge_id")
        yield warning(place, "Gameball lists no campaign at all: no challenge could be compared")
        return
    for position, rule in enumerate(configured.rules):
        place = configured.place("rules", position, "challenge_id")
        campaign = campaigns.get(rule.challenge_id)
        if campaign is None:
            yield error(place, f"Gameball has no campaign {rule.challenge_id}")
        else:
            yield from _campaign(place, rule, campaign)


def _campaign(place: str, rule: Rule, campaign: Campaign) -> Iterator[Finding]:
    named = f"the campaign {campaign.id} ({campaign.name})"
    if not campaign.is_social:
        yield warning(place, f"{named} is of type {campaign.type!r}, not a social one")
    if not campaign.is_active:
        yield warning(place, f"{named} is not active")
    if rule.repeat is not Repeat.ONCE and campaign.most == 1:
        yield warning(place, f"{named} is granted once, yet the rule repeats {rule.repeat}")
