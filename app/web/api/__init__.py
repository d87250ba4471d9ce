"""The HTTP API under /v1, its OpenAPI document and its page."""
