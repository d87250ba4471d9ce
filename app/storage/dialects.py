"""The words that one database has and the other has not."""

import importlib
from typing import Any


def insert(dialect_name: str, table: Any) -> Any:
    """An INSERT that can say what to do on conflict. Only the dialect in use is imported."""
    name = "postgresql" if dialect_name == "postgresql" else "sqlite"
    return importlib.import_module(f"sqlalchemy.dialects.{name}").insert(table)
