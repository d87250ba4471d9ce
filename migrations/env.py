"""How does Alembic reach the database? By the connection that `app.storage.migrate` passes it."""

from alembic import context

from app.storage.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
