"""What do the tests of our HTTP side stand on? A shop that calls a service."""

from collections.abc import Callable

import pytest

from app.service import Service
from app.steps.keys import Role
from app.web.limits import Buckets, Limits
from tests.clock import Clock
from tests.conftest import MakeService
from tests.web.applications import app_over
from tests.web.shop import Shop, new_key

SECRETS = {"VOUCH_SECRET_KEYS": "newest-key-of-the-tests", "TWITCH_SECRET": "a-twitch-secret"}

# One challenge for each way in which a rule can treat a claim.
CONFIG = """
[web]
cors_origins = ["https://shop.example", "http://localhost:3000", "capacitor://localhost"]
cors_headers = ["X-Shop"]

[claims]
default_ttl = "1h"
max_ttl = "1d"
checking_for = "7d"
per_customer_per_minute = 100000
per_address_per_minute = 100000

[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[rules]]
challenge_id = 100
platform = "instagram"
action = "follow"
evidence = "claimed"

[[rules]]
challenge_id = 200
source = "twitch"
action = "follow"
target = "1337"

[[rules]]
challenge_id = 300
platform = "instagram"
action = "comment"
evidence = "claimed"
repeat = "per_target"

[[rules]]
challenge_id = 400
platform = "instagram"
action = "post"
evidence = "claimed"
repeat = "per_day"

[[rules]]
challenge_id = 500
platform = "instagram"
action = "share"
evidence = "claimed"
hold = "1h"

[[rules]]
challenge_id = 600
platform = "twitch"
action = "subscribe"
evidence = "claimed"

[[rules]]
challenge_id = 700
source = "twitch"
action = "follow"
target = "9000"
repeat = "per_day"
"""

OpenShop = Callable[..., Shop]


@pytest.fixture
def open_shop(make_service: MakeService, clock: Clock) -> OpenShop:
    """Open a shop on a service of the given configuration, or on one that exists."""

    def open_one(config: str | Service = CONFIG, **env: str) -> Shop:
        service = make_service(config, **SECRETS | env) if isinstance(config, str) else config
        app = app_over(service)
        app.extensions["vouch-limits"] = Limits(
            Buckets(clock.nanoseconds), Buckets(clock.nanoseconds)
        )
        return Shop(app, service, new_key(service, Role.BACKEND))

    return open_one


@pytest.fixture
def shop(open_shop: OpenShop) -> Shop:
    return open_shop()
