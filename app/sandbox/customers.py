"""The sandbox's customers, and which of them can earn."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.sandbox.settings import SandboxSettings

UNKNOWN_PREFIX = "missing"


@dataclass(frozen=True)
class Customer:
    customer_id: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    is_guest: bool = False

    @property
    def gameball_id(self) -> int:
        return zlib.crc32(self.customer_id.encode(errors="surrogatepass"))


class Customers:
    """Customers by the settings, and those created by calls; the caller holds the lock."""

    def __init__(self) -> None:
        self._created: dict[str, Customer] = {}

    def find(self, customer_id: str, settings: SandboxSettings) -> Customer | None:
        if created := self._created.get(customer_id):
            return created
        known = settings.known_customers
        is_known = customer_id in known if known is not None else _is_presumed(customer_id)
        return Customer(customer_id) if is_known else None

    def upsert(
        self, customer_id: str, attributes: Mapping[str, object], *, is_guest: bool
    ) -> Customer:
        before = self._created.get(customer_id, Customer(customer_id))
        customer = Customer(customer_id, {**before.attributes, **attributes}, is_guest)
        self._created[customer_id] = customer
        return customer

    def can_earn(self, customer_id: str, settings: SandboxSettings) -> bool:
        """Guests and customers who opted out are accepted, but earn nothing in social campaigns."""
        customer = self.find(customer_id, settings)
        is_inactive = customer_id in settings.inactive_customers
        return customer is not None and not customer.is_guest and not is_inactive


def _is_presumed(customer_id: str) -> bool:
    return not customer_id.startswith(UNKNOWN_PREFIX)
