"""Selects the subscriptions to renew, and the process that renews them."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, or_, select, update

from app.domain.clock import latest
from app.domain.sources import Subscription
from app.steps.ledger import insert_new
from app.storage.tables import SubscriptionRow

# Renew when this share of the time is left. Two more tries fit in before an alert.
RENEWED_AT_SHARE = 0.5
# The platform grants a subscription in a later handshake.
ASKED_AGAIN_AFTER = timedelta(minutes=15)


def is_due(connection: Connection, source: str, topic: str, now: datetime) -> bool:
    """Whether it was never granted or lapses soon, and was not requested just now."""
    row = connection.execute(select(SubscriptionRow.__table__).where(*_it(source, topic))).first()
    if row is None:
        return True
    if row.asked_at is not None and now - ASKED_AGAIN_AFTER < row.asked_at <= latest(now):
        return False
    return not Subscription(
        topic=topic, granted_at=row.granted_at, lapses_at=row.lapses_at
    ).has_left(RENEWED_AT_SHARE, now)


def take(connection: Connection, source: str, topic: str, now: datetime) -> bool:
    """Reserve the request for this process. False: another process made it."""
    connection.execute(insert_new(connection, SubscriptionRow), {"source": source, "topic": topic})
    is_free = or_(
        SubscriptionRow.asked_at.is_(None),
        SubscriptionRow.asked_at <= now - ASKED_AGAIN_AFTER,
        SubscriptionRow.asked_at > latest(now),
    )
    statement = update(SubscriptionRow).where(*_it(source, topic), is_free).values(asked_at=now)
    return connection.execute(statement).rowcount == 1


def failed(connection: Connection, source: str, topic: str, answer: str) -> None:
    """Store the platform's answer for people: why it was not granted."""
    statement = update(SubscriptionRow).where(*_it(source, topic)).values(answer=answer)
    connection.execute(statement)


def _it(source: str, topic: str) -> tuple[ColumnElement[bool], ...]:
    return SubscriptionRow.source == source, SubscriptionRow.topic == topic
