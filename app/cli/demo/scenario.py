"""The scenes of the demo. Each one checks some of Vouch's promises."""

import time
from collections import Counter
from collections.abc import Callable

from app.cli.demo.actors import Stage
from app.domain.attempts import State
from app.domain.evidence import Evidence

SETTLES_WITHIN_SECONDS = 15.0
HANDED_OVER = frozenset({State.ACCEPTED, State.GRANTED})
# A customer who is not eligible for the last platform's campaign.
OUT_OF_REACH = "bob"
_POLL_SECONDS = 0.1


def accounts_are_linked(stage: Stage) -> None:
    """The shop's backend says whose accounts these are"""
    told = [stage.link(offer, "ann-1", "ann") for offer in stage.offers]
    told.append(stage.link(stage.offers[0], "bob-1", "bob"))
    stage.promise("accounts are linked to customers", is_kept=all(t.status == 201 for t in told))


def platforms_call_twice(stage: Stage) -> None:
    """Every platform sends a correctly signed callback, and to be sure sends it again"""
    signed = {offer.source: stage.signed(offer, "ann-1") for offer in stage.offers}
    answers = [stage.send(offer, signed[offer.source]) for offer in stage.offers]
    before = stage.count()
    answers += [stage.send(offer, signed[offer.source]) for offer in stage.offers]
    stage.teller.note(f"{before} attempts after the first, {stage.count()} after the second")
    is_taken = all(answered.is_accepted for answered in answers)
    stage.promise("a correctly signed callback is taken", is_kept=is_taken)
    is_once = before == stage.count() == len(stage.offers)
    stage.promise("the same event again makes no second attempt", is_kept=is_once)


def somebody_forges(stage: Stage) -> None:
    """Somebody forges callbacks: the signatures are those of other bodies"""
    before = stage.count()
    refused = [
        stage.send(offer, stage.signed(offer, "ann-1", is_forged=True)).status
        == offer.adapter.forged_status
        for offer in stage.offers
    ]
    _tell_platforms(stage)
    stage.teller.note(f"{before} attempts before, {stage.count()} after")
    is_kept = all(refused) and stage.count() == before
    stage.promise("a forged callback is refused and leaves no trace", is_kept=is_kept)


def _tell_platforms(stage: Stage) -> None:
    """Print the statuses of each platform's callbacks: the first, its repeat and the forged one."""
    columns = ("platform", "sent", "again", "forged")
    rows = []
    for offer in stage.offers:
        statuses = (str(status or "-") for status in stage.statuses[offer.source])
        told = (offer.adapter.name, *statuses)
        rows.append(dict(zip(columns, told, strict=True)))
    if not stage.teller.is_verbose:
        stage.teller.grid(columns, rows)
    quiet = [o.adapter.name for o in stage.offers if o.adapter.forged_status < 300]
    if quiet:
        stage.teller.note(
            f"{', '.join(quiet)}: WebSub wants a 2xx also for a forged delivery; it is dropped"
        )


def a_stranger_acts(stage: Stage) -> None:
    """An account acts that nobody has linked yet; then it is linked"""
    offer = stage.offers[-1]
    stage.send(offer, stage.signed(offer, "carl-1"))
    is_waiting = stage.states("carl-1") == [State.UNLINKED]
    told = stage.link(offer, "carl-1", "carl")
    is_released = told.body.get("releasedAttempts") == 1
    stage.promise(
        "an unknown account's event waits, and linking the account releases it",
        is_kept=is_waiting and is_released,
    )


def a_second_account_acts(stage: Stage) -> None:
    """A customer who has earned it already does it again, with a second account"""
    offer = stage.offers[0]
    stage.link(offer, "ann-2", "ann")
    stage.send(offer, stage.signed(offer, "ann-2"))
    is_kept = stage.states("ann-2") == [State.DUPLICATE]
    stage.promise("a customer is not paid twice, whatever the account", is_kept=is_kept)


def a_claim_is_believed(stage: Stage) -> None:
    """Nothing pushes some actions: the shop's page claims one with a token, twice"""
    token = stage.mint("ann", stage.installation.claimed.challenge_id)
    first, second = stage.claim(token), stage.claim(token)
    is_same = first.body.get("attemptId") == second.body.get("attemptId")
    is_kept = first.status == second.status == 202 and is_same
    stage.promise("a claim token makes one attempt, however often it is sent", is_kept=is_kept)


def a_claim_waits_for_its_proof(stage: Stage) -> None:
    """Where the rule asks for more than a word, a claim waits for the platform's own event"""
    offer = stage.offers[0]
    is_waiting = (
        stage.claim(stage.mint("bob", offer.rule.challenge_id)).body.get("state") == State.CHECKING
    )
    stage.send(offer, stage.signed(offer, "bob-1"))
    attempts = stage.shop.attempts(customerId="bob")
    is_proven = [attempt["evidence"] for attempt in attempts] == [Evidence.SIGNED]
    stage.states("bob-1")
    stage.promise(
        "a claim is confirmed by the platform's own event", is_kept=is_waiting and is_proven
    )


def gameball_is_told(stage: Stage) -> None:
    """The worker hands the achievements to Gameball, which takes a moment to grant them"""
    _wait(lambda: _is_settled(stage))
    report, attempts = stage.books.report(), stage.shop.attempts(limit="200")
    owed = {(a["customerId"], a["challengeId"]) for a in attempts if a["state"] in HANDED_OVER}
    stage.teller.note(
        f"{report.accepted} accepted, {len(report.grants)} granted, "
        f"{report.duplicates} refused as repeats, {report.rate_limited} as too fast"
    )
    is_once = set(report.counts) == owed and set(report.counts.values()) == {1}
    is_released = any(customer == "carl" for customer, _ in report.counts)
    stage.promise(f"each of the {len(owed)} awards is granted exactly once", is_kept=is_once)
    stage.promise("what waited unlinked is paid once it is linked", is_kept=is_released)


def gameball_says_no(stage: Stage) -> None:
    """Gameball accepts an achievement of a customer whom the campaign is not for"""
    offer = stage.offers[-1]
    stage.link(offer, "bob-2", OUT_OF_REACH)
    stage.send(offer, stage.signed(offer, "bob-2"))
    _wait(lambda: not stage.shop.attempts(state=State.DUE))
    answered = [attempt["state"] for attempt in stage.shop.attempts(accountId="bob-2")]
    stage.teller.note(f"bob-2's attempt is {', '.join(answered)}: Gameball's 202 is no reward yet")


def the_truth_is_read_back(stage: Stage) -> None:
    """The worker reads back what became of everything that was accepted"""
    _wait(lambda: not stage.shop.attempts(state=State.ACCEPTED))
    attempts = stage.shop.attempts(limit="200")
    ends = Counter(one["state"] for one in attempts if one["state"] != State.DUPLICATE)
    stage.teller.note(", ".join(f"{count} {state}" for state, count in ends.items()))
    for one in attempts:
        if one["state"] in (State.NOT_GRANTED, State.UNCONFIRMED):
            stage.teller.note(f"{one['customerId']}: {one['reason']}")
    said = {
        (one["customerId"], one["challengeId"]) for one in attempts if one["state"] == State.GRANTED
    }
    is_true = said == set(stage.books.report().counts)
    stage.promise("`granted` is said exactly where Gameball's books say so", is_kept=is_true)
    refused = [one["state"] for one in attempts if one["accountId"] == "bob-2"]
    stage.promise(
        "what was accepted and not rewarded is told, with the reason",
        is_kept=refused == [State.NOT_GRANTED],
    )


SCENES: tuple[Callable[[Stage], None], ...] = (
    accounts_are_linked,
    platforms_call_twice,
    somebody_forges,
    a_stranger_acts,
    a_second_account_acts,
    a_claim_is_believed,
    a_claim_waits_for_its_proof,
    gameball_is_told,
    gameball_says_no,
    the_truth_is_read_back,
)


def play(stage: Stage) -> None:
    """Run every scene, with its docstring as the heading."""
    for scene in SCENES:
        stage.teller.scene(scene.__doc__ or scene.__name__)
        scene(stage)


def _wait(is_so: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not is_so() and time.monotonic() - began < SETTLES_WITHIN_SECONDS:
        time.sleep(_POLL_SECONDS)


def _is_settled(stage: Stage) -> bool:
    return not stage.shop.attempts(state=State.DUE) and not stage.books.report().pending_grants
