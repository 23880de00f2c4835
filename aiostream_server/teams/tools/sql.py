"""The schema of a database, and checked, read-only queries: for any team."""

from collections.abc import Mapping
from typing import Annotated

from autogen_core.tools import FunctionTool

from aiostream_server.config.model import SqlToolConfig
from aiostream_server.errors import ConfigError
from aiostream_server.teams.tools.functions import FixedTool
from aiostream_server.tools.sql.database import Database


def sql_tool(name: str, config: SqlToolConfig, databases: Mapping[str, Database]) -> FixedTool:
    """`NAME_schema` and `NAME_query`. Raises `ConfigError` where it names no database, and there are several."""
    chosen = config.database or (next(iter(databases)) if len(databases) == 1 else None)
    if chosen is None or chosen not in databases:
        raise ConfigError([f"database: it must be one of {', '.join(databases)}"])
    database = databases[chosen]

    async def schema() -> str:
        return (await database.schema()).describe()

    async def query(sql: Annotated[str, "One SELECT statement."]) -> str:
        rows = await database.ask(sql)
        table = rows.to_markdown()
        return f"{table}\n\n{rows.summary}" if rows.truncated else table

    about = f": {database.description}" if database.description else ""
    return FixedTool(
        FunctionTool(
            schema, name=f"{name}_schema", description=f"Read the tables, columns and keys of the database{about}"
        ),
        FunctionTool(
            query,
            name=f"{name}_query",
            description=f"Run one read-only SELECT, written for its schema, on the database{about}",
        ),
    )
