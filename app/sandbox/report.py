"""What was granted, and how the caller behaved: the figures for an audit."""

from collections import Counter
from dataclasses import dataclass

from app.sandbox.rewards import Grant


@dataclass(frozen=True, kw_only=True)
class Report:
    """`duplicates` and `rate_limited` count refusals (4000 and 429), `accepted` what landed.

    The two maxima count the social-challenges calls that arrived, refused or not, in any sliding
    second and any sliding 30 seconds; `concurrent_per_customer` counts writes.
    """

    grants: tuple[Grant, ...]
    accepted: int
    duplicates: int
    rate_limited: int
    pending_grants: int
    max_per_second: int
    max_30_seconds: int
    concurrent_per_customer: int

    @property
    def counts(self) -> Counter[tuple[str, int]]:
        """Return how often each (customer, challenge) was granted."""
        return Counter((grant.customer_id, grant.challenge_id) for grant in self.grants)
