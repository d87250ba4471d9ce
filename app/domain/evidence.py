"""The kinds of evidence for an action, and their order."""

from enum import StrEnum


class Evidence(StrEnum):
    """From the weakest to the strongest."""

    CLAIMED = "claimed"  # only the customer says so
    CHECKED = "checked"  # the platform's API confirmed it
    SIGNED = "signed"  # signed by the platform

    def suffices_for(self, asked: "Evidence") -> bool:
        order = list(Evidence)
        return order.index(self) >= order.index(asked)
