"""The endpoints that write."""

from flask import request

from app.sandbox import payloads, shapes
from app.sandbox.books import Books
from app.sandbox.replies import RefusalError, Reply, invalid, json_reply


def achieve_social_challenge(books: Books) -> Reply:
    payload = payloads.json_object(request.mimetype, request.get_data())
    customer_id = payloads.customer_id_in(payload)
    challenge_id = payloads.challenge_id_in(payload)
    payloads.check_texts(payload, "email", "mobile")
    books.accept(customer_id, challenge_id)
    echo = {"customerId": customer_id, "challengeId": challenge_id}
    return json_reply(202, echo | _disabled_block(books.settings.gameball_status))


def upsert_customer(books: Books) -> Reply:
    payload = payloads.json_object(request.mimetype, request.get_data())
    customer_id = payloads.customer_id_in(payload)
    payloads.check_texts(payload, "email", "mobile")
    attributes = payload.get("customerAttributes") or {}
    if not isinstance(attributes, dict):
        raise RefusalError(invalid("customerattributes"))
    is_guest = payload.get("guest") is True
    customer = books.upsert(customer_id, attributes, is_guest=is_guest)
    return json_reply(200, {"gameballId": customer.gameball_id})


def _disabled_block(status: str | None) -> shapes.Json:
    """Three texts that the documentation names without an example."""
    if status is None:
        return {}
    return {
        "gameballStatus": status,
        "message": "Gameball is disabled; nothing will be rewarded.",
        "learnMore": "https://docs.gameball.co",
    }
