"""Counters of each process. A scrape reads the rest from the database."""

from prometheus_client import Counter, Histogram

EVENTS = Counter(
    "vouch_events",
    "Events of callbacks by source and outcome.",
    ["source", "outcome"],
)
CALLBACK_SECONDS = Histogram(
    "vouch_callback_seconds",
    "Time to answer a callback, including the commit.",
    ["source"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SUBMISSIONS = Counter(
    "vouch_submissions", "Submissions to Gameball by the meaning of its answer.", ["outcome"]
)
SUBMISSION_SECONDS = Histogram(
    "vouch_submission_seconds",
    "Time of one call to Gameball.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CLAIMS = Counter("vouch_claims", "Claims by outcome.", ["outcome"])
CONFIRMATIONS = Counter(
    "vouch_confirmations", "Accepted attempts by the outcome of their reward.", ["outcome"]
)
READS = Counter("vouch_reads", "Reads of Gameball by kind and outcome.", ["kind", "outcome"])
