"""Mint claim tokens, and make and read claims."""

from datetime import datetime, timedelta
from math import ceil
from typing import cast

import structlog
from flask import Blueprint, Response, current_app, request
from pydantic import Field

from app.domain.attempts import State
from app.domain.roles import Role
from app.domain.rules import ClaimHints, rule_for_claim
from app.metrics import CLAIMS
from app.schemas.fields import (
    ChallengeId,
    CustomerId,
    Email,
    Id,
    Mobile,
    Schema,
    Statement,
    example,
)
from app.steps import proxies
from app.steps.claims import Claim, by_token, claim
from app.web.api.claim_tokens import ClaimToken, believe, expired, mint
from app.web.api.cors import let_origin_read, preflight_answer
from app.web.api.openapi import operation
from app.web.auth import bearer, requires
from app.web.context import client_address, service
from app.web.limits import Buckets, Limits, neighbourhood
from app.web.parsing import body_as
from app.web.problems import Problem
from app.web.responses import reply

log = structlog.get_logger(__name__)

# Room for the longest token and statement with escaped characters. The body is read before the
# token is verified.
MAX_CLAIM_BYTES = 32_768
blueprint = Blueprint("claims", __name__)
blueprint.after_app_request(let_origin_read)
blueprint.record_once(lambda state: state.app.extensions.setdefault("vouch-limits", Limits()))


class TokenRequest(Schema):
    """Which claim to allow, of which customer."""

    model_config = example(customerId="customer-42", challengeId=11664, ttlSeconds=900)

    customer_id: CustomerId
    challenge_id: ChallengeId
    email: Email | None = None
    mobile: Mobile | None = None
    ttl_seconds: int | None = Field(
        default=None, ge=1, description="Life of the token; the settings bound it."
    )


class MintedToken(Schema):
    """A claim token."""

    token: str
    expires_at: datetime


class ClaimRequest(Schema):
    """A claim: the token that allows it, and what the customer adds."""

    model_config = example(
        token="the token that your backend was given",  # noqa: S106
        evidence={"platform": "instagram", "action": "follow"},
    )

    token: str
    evidence: Statement | None = None


class ClaimReceipt(Schema):
    """The attempt that the token made, now or before."""

    attempt_id: Id
    state: State


class ClaimPath(Schema):
    """The attempt that the claim made, as the path names it."""

    attempt_id: Id


class ClaimView(Schema):
    """What a customer may know of a claim: never why."""

    attempt_id: Id
    challenge_id: int
    state: State
    created_at: datetime
    updated_at: datetime


@blueprint.post("/v1/claim-tokens")
@operation(
    operation_id="createClaimToken",
    summary="Allow one customer one claim",
    description="For the shop's backend. Hand the token to the customer's page; it allows this one "
    "claim.",
    answers={201: MintedToken},
    body=TokenRequest,
    problems=("malformed", "too-large", "media-type", "no-rule", "invalid"),
    tag="claims",
)
@requires(Role.BACKEND)
def mint_claim_token() -> Response:
    """Sign a claim token for the shop's backend, which passes it to its page."""
    wanted = body_as(TokenRequest)
    ttl_seconds = _ttl_seconds(wanted)
    if all(rule.challenge_id != wanted.challenge_id for rule in service().configuration.rules):
        raise Problem("no-rule", "No rule in the configuration names this challengeId.")
    token, expires_at = mint(
        service().secret_keys,
        customer_id=wanted.customer_id,
        challenge_id=wanted.challenge_id,
        email=wanted.email,
        mobile=wanted.mobile,
        ttl_seconds=ttl_seconds,
        now=service().now(),
    )
    return reply(MintedToken(token=token, expires_at=expires_at), 201)


@blueprint.post("/v1/claims", provide_automatic_options=False)
@operation(
    operation_id="makeClaim",
    summary="Make the claim that a token allows",
    description="For the shop's page; the token in the body is all it needs. The same token again "
    "gives the same attempt.",
    answers={202: ClaimReceipt},
    body=ClaimRequest,
    problems=(
        "malformed",
        "token-invalid",
        "token-expired",
        "too-large",
        "media-type",
        "no-rule",
        "invalid",
        "too-many",
    ),
    tag="claims",
)
def make_claim() -> Response:
    """Record a claim. The same token again changes nothing: a page may have lost our answer."""
    try:
        outcome, receipt = _claimed()
    except Problem as problem:
        CLAIMS.labels(problem.kind).inc()
        raise
    CLAIMS.labels(outcome).inc()
    log.info("claim.made", attempt=receipt.attempt_id, outcome=outcome, state=receipt.state)
    return reply(receipt, 202)


@blueprint.get("/v1/claims/<attempt_id>", provide_automatic_options=False)
@operation(
    operation_id="getClaim",
    summary="What became of the claim that the bearer token made",
    description="Send the claim token as the bearer. It never says why a check refused.",
    answers={200: ClaimView},
    path=ClaimPath,
    problems=("token-invalid", "token-expired", "unknown", "too-many"),
    tag="claims",
    security="claimToken",
)
def read_claim(attempt_id: str) -> Response:
    """Return the customer's view of an attempt. Only the token that made it can read it."""
    _limit_address("read")
    token = believe(service().secret_keys, bearer(), service().now())
    _limit_customer("read", token)
    with service().database.read() as connection:
        attempt = by_token(connection, token.id)
    if attempt is None or attempt.id != attempt_id:
        raise Problem("unknown", "This token made no such attempt.")
    return reply(
        ClaimView(
            attempt_id=attempt.id,
            challenge_id=attempt.challenge_id,
            state=State(attempt.state),
            created_at=attempt.created_at,
            updated_at=attempt.updated_at,
        )
    )


@blueprint.route("/v1/claims", methods=["OPTIONS"])
@blueprint.route("/v1/claims/<attempt_id>", methods=["OPTIONS"])
@operation(
    operation_id="preflight",
    summary="A browser's preflight",
    description="What a page of a configured origin may send.",
    answers={204: "See the headers."},
    tag="claims",
)
def preflight(attempt_id: str = "") -> Response:  # noqa: ARG001 -- part of the path
    """Answer a browser's CORS preflight."""
    return preflight_answer()


def _ttl_seconds(wanted: TokenRequest) -> int:
    settings = service().configuration.claims
    ttl_seconds = wanted.ttl_seconds or int(settings.default_ttl)
    if ttl_seconds > settings.max_ttl:
        problem = f"must be at most {int(settings.max_ttl)}"
        errors = [{"field": "ttlSeconds", "problem": problem}]
        raise Problem("invalid", "See errors.", errors=errors)
    return ttl_seconds


def _claimed() -> tuple[str, ClaimReceipt]:
    """Make a claim, or find the earlier one of the token. Returns the outcome and the receipt."""
    # Limit the address before any cryptography, so that invalid tokens count as well.
    _limit_address("claim")
    sent = body_as(ClaimRequest, MAX_CLAIM_BYTES)
    token = believe(service().secret_keys, sent.token, service().now())
    _limit_customer("claim", token)
    with service().database.read() as connection:
        known = by_token(connection, token.id)
    if known is not None:
        return "known", ClaimReceipt(attempt_id=known.id, state=State(known.state))
    receipt = _record(token, sent.evidence or Statement())
    return receipt.state, receipt


def _record(token: ClaimToken, statement: Statement) -> ClaimReceipt:
    now, configuration = service().now(), service().configuration
    if token.expires_at <= now:
        raise expired()
    hints = ClaimHints(statement.platform, statement.action, statement.target)
    rule = rule_for_claim(token.challenge_id, hints, configuration.rules)
    if rule is None:
        raise Problem("no-rule", "No rule rewards this challenge for what the evidence names.")
    made = Claim(
        token_id=token.id,
        customer_id=token.customer_id,
        challenge_id=token.challenge_id,
        rule=rule,
        email=token.email,
        mobile=token.mobile,
        target=statement.target,
        statement=statement.said,
    )
    until = now + timedelta(seconds=configuration.claims.checking_for)
    attempt_id, state = service().database.write(lambda c: claim(c, made, until, now))
    if state is State.DUE:
        service().wake_worker()
    return ClaimReceipt(attempt_id=attempt_id, state=state)


def _limit_address(act: str) -> None:
    """Limit the calls of an address. Reads and claims have separate buckets.

    A page that polls must not use up its customer's claims.
    """
    web, claims = service().configuration.web, service().configuration.claims
    if not web.trusted_proxies:
        _notice_proxy()
    caller = neighbourhood(client_address(request, web.trusted_proxies))
    _limit(_limits().addresses, f"{act} {caller}", claims.per_address_per_minute)


def _notice_proxy() -> None:
    header = next((name for name in proxies.HEADERS if name in request.headers), None)
    if header is not None:
        service().watch.proxied(service().now(), header)


def _limit_customer(act: str, token: ClaimToken) -> None:
    per_minute = service().configuration.claims.per_customer_per_minute
    _limit(_limits().customers, f"{act} {token.customer_id}", per_minute)


def _limit(buckets: Buckets, key: str, per_minute: int) -> None:
    seconds = ceil(buckets.wait_seconds(key, per_minute))
    if seconds:
        detail = f"Try again in {seconds} s."
        raise Problem("too-many", detail, headers={"Retry-After": str(seconds)})


def _limits() -> Limits:
    return cast(Limits, current_app.extensions["vouch-limits"])
