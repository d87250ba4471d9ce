"""How do we know?"""

from enum import StrEnum


class Evidence(StrEnum):
    """From the weakest to the strongest."""

    CLAIMED = "claimed"  # only the customer says so
    CHECKED = "checked"  # the platform's API said yes
    SIGNED = "signed"  # the platform's signature

    def suffices_for(self, asked: "Evidence") -> bool:
        order = list(Evidence)
        return order.index(self) >= order.index(asked)
