"""`vouch send`: send correctly signed example callbacks to a running service."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from app.cli.address import is_web_address
from app.cli.callbacks import Answered
from app.cli.groups import Choice
from app.cli.output import json_option, print_json, print_labelled, print_table
from app.cli.sending import NUMBER, Order, Outcome, send
from app.cli.sources import Source, configured_source, described_source
from app.cli.verdicts import described, nudge_json
from app.platforms import adapters
from app.platforms.kit.examples import Template, templates
from app.platforms.kit.signing import CannotSign

ANY_TARGET = "example"


@click.command()
@click.argument("platform", type=Choice(sorted(adapters())))
@click.argument("action", required=False)
@click.option("--list", "is_list", is_flag=True, help="List the actions there are examples of.")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The service.")
@click.option("--source", help="Default: the first configured source of the platform.")
@click.option(
    "--actor",
    default=f"actor-{NUMBER}",
    show_default=True,
    help=f"The account that acts; {NUMBER} is the callback's number.",
)
@click.option(
    "--target",
    help=f"What is acted on. Default: the target that a rule asks for, else {ANY_TARGET!r}.",
)
@click.option(
    "--key", help=f"The event's id. Without {NUMBER} all have the same. Default: each a new one."
)
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="How many per second.")
@click.option("--secret", "secrets", multiple=True, help="Sign with it; no configuration is read.")
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="With --secret: another key."
)
@click.option("--forge", is_flag=True, help="Sign with a stranger's key, to see it refused.")
@json_option
def command(
    platform: str, action: str | None, is_list: bool, as_json: bool, **options: Any
) -> None:
    """Send correctly signed example callbacks to a service.

    ACTION as PLATFORM would send it, signed with the configured source's secret. Exits 0 when
    every answer was 2xx, else 1.
    """
    if is_list:
        _print_list(platform, as_json)
        return
    order = _order(platform, _template(platform, action), **options)
    try:
        outcome = send(order)
    except CannotSign as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        print_json(_outcome_json(order, outcome))
    else:
        _print(order, outcome)
    sys.exit(0 if all(answered.is_accepted for answered in outcome.answers) else 1)


def _order(
    platform: str,
    template: Template,
    *,
    url: str,
    source: str | None,
    target: str | None,
    secrets: Sequence[str],
    pairs: Sequence[str],
    forge: bool,
    **more: Any,
) -> Order:
    if not is_web_address(url):
        raise click.UsageError("write --url as http://HOST:PORT")
    if secrets or pairs:
        found = described_source(platform, source or platform, secrets, pairs)
    else:
        found = configured_source(platform, source)
    if "secrets" in found.assumed:
        raise click.UsageError("signing needs a secret: --secret S")
    return Order(
        url=f"{url.rstrip('/')}/webhooks/{found.adapter.source.name}",
        adapter=found.adapter,
        template=template,
        target=target or _asked_for(found, template) or ANY_TARGET,
        is_forged=forge,
        **more,
    )


def _template(platform: str, action: str | None) -> Template:
    known = templates(platform)
    if action is None or action not in known:
        told = f"no example of {action!r}" if action else "no action was given"
        raise click.UsageError(f"{told}; {platform} has: {', '.join(known)}")
    return known[action]


def _asked_for(source: Source, template: Template) -> str | None:
    """Return the target that a rule of the source requires, so that the example earns a reward.

    For a source that reports rewards it is a campaign: the one of the first rule.
    """
    if source.adapter.reports_rewards:
        return next((str(rule.challenge_id) for rule in source.rules), None)
    actions = {event["action"] for event in template.expect}
    config = source.adapter.source
    return next(
        (
            rule.target
            for rule in source.rules
            if rule.target
            and rule.action in actions
            and rule.source in (None, config.name)
            and rule.platform == (config.accounts or source.adapter.name)
        ),
        None,
    )


def _print_list(platform: str, as_json: bool) -> None:
    rows = [
        {
            "action": name,
            "read as": ", ".join(
                event["action"] + (" undone" if event.get("undone") else "")
                for event in template.expect
            ),
            "documented at": template.seen_at,
        }
        for name, template in templates(platform).items()
    ]
    if as_json:
        print_json([{"action": row["action"], "seenAt": row["documented at"]} for row in rows])
    else:
        print_table(("action", "read as", "documented at"), rows)


def _print(order: Order, outcome: Outcome) -> None:
    if order.count == 1:
        (signed, answered), *_ = outcome.sent
        click.echo(f"POST {order.url}")
        for event in signed.events:
            undone = " undone" if event["undone"] else ""
            words = f"{event['action']}{undone} by {event['actor']} on {event['target']}"
            print_labelled("event", f"{words}, key {event['key']}")
        for nudge in signed.nudges:
            print_labelled("nudge", described(nudge))
        for reason in signed.ignored:
            print_labelled("ignored", reason)
        if order.is_forged:
            refused = f"a refusal is answered {order.adapter.forged_status}, and logged"
            print_labelled("forged", f"signed with a stranger's key: {refused}")
        print_labelled("answer", f"{_told(answered)} in {answered.seconds * 1000:.1f} ms")
        return
    speed = order.count / outcome.seconds
    click.echo(f"{order.count} x POST {order.url} in {outcome.seconds:.1f} s ({speed:.0f} per s)")
    for status, count in outcome.statuses.most_common():
        told = next(_told(one) for one in outcome.answers if one.status == status)
        print_labelled("answers", f"{count} x {told}")
    p50, p99 = outcome.latency_ms(0.5), outcome.latency_ms(0.99)
    print_labelled("latency", f"p50 {p50} ms, p99 {p99} ms")


def _told(answered: Answered) -> str:
    status = answered.status or "-"
    return f"{status} ({answered.detail})" if answered.detail else str(status)


def _outcome_json(order: Order, outcome: Outcome) -> dict[str, Any]:
    statuses = outcome.statuses
    return {
        "url": order.url,
        "source": order.adapter.source.name,
        "action": order.template.name,
        "forged": order.is_forged,
        "count": order.count,
        "seconds": round(outcome.seconds, 3),
        "answers": {str(status): n for status, n in statuses.items() if status is not None},
        "unanswered": statuses[None],
        "latencyMs": {"p50": outcome.latency_ms(0.5), "p99": outcome.latency_ms(0.99)},
        "details": sorted({one.detail for one in outcome.answers if one.detail}),
        "events": list(outcome.sent[0][0].events) if order.count == 1 else None,
        "nudges": [nudge_json(one) for one in outcome.sent[0][0].nudges]
        if order.count == 1
        else None,
        "ignored": list(outcome.sent[0][0].ignored) if order.count == 1 else None,
    }
