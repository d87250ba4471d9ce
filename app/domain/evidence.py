"""The kinds of evidence for an action, and their order."""

from enum import StrEnum


class Evidence(StrEnum):
    """How an action is proved, from the weakest evidence to the strongest."""

    CLAIMED = "claimed"  # only the customer says so
    CHECKED = "checked"  # the platform's API confirmed it
    SIGNED = "signed"  # signed by the platform

    def suffices_for(self, asked: "Evidence") -> bool:
        """Whether this evidence is at least as strong as ``asked``."""
        order = list(Evidence)
        return order.index(self) >= order.index(asked)
