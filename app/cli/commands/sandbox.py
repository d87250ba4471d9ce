"""`vouch sandbox`: a stand-in Gameball."""

from contextlib import ExitStack

import click

from app.cli.address import listening, split_address
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Push, SandboxSettings


@click.command()
@click.option(
    "--bind",
    default="127.0.0.1:8100",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen. Whoever reaches it can steer it: keep it on this machine.",
)
@click.option(
    "--api-key",
    default="sandbox-api-key",
    show_default=True,
    help="What it takes as GAMEBALL_API_KEY.",
)
@click.option(
    "--secret-key",
    default="sandbox-secret-key",
    show_default=True,
    help="What it takes as GAMEBALL_SECRET_KEY.",
)
@click.option(
    "--dedup-window",
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the same customer and challenge is answered 4000.",
)
@click.option(
    "--grant-delay",
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="From the 202 to the reward.",
)
@click.option(
    "--grant-jitter",
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="What chance adds to that, at most.",
)
@click.option(
    "--push-url",
    metavar="URL",
    help="Tell a source of Vouch of every grant, as Gameball's webhooks would.",
)
@click.option(
    "--push-secret",
    default="sandbox-automation-secret",
    show_default=True,
    help="What the automation's webhook carries in X-Vouch-Secret.",
)
def command(
    bind: str,
    api_key: str,
    secret_key: str,
    dedup_window: float,
    grant_delay: float,
    grant_jitter: float,
    push_url: str | None,
    push_secret: str,
) -> None:
    """Stand in for Gameball.

    It keeps the documented contract: dedup window, limits, every error, delayed grants. Its books
    are at /_sandbox/books; faults are ordered with POST /_sandbox/faults.
    """
    host, port = split_address(bind)
    settings = SandboxSettings(
        dedup_window_seconds=dedup_window,
        grant_delay_seconds=grant_delay,
        grant_jitter_seconds=grant_jitter,
        api_key=api_key,
        secret_key=secret_key,
        push=Push(url=push_url, secret=push_secret) if push_url else None,
    )
    with ExitStack() as stack:
        with listening(bind):
            sandbox = stack.enter_context(SandboxServer(settings, host=host, port=port))
        click.echo(f"The sandbox Gameball listens on {sandbox.url}")
        sandbox.serve_forever()
