"""The two tools that SQLAgent's model sees."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from autogen_core.tools import ParametersSchema, ToolSchema

from aiostream_server.tools.sql.database import Database

SCHEMA: Final = "schema"
QUERY: Final = "query"


def tool_schemas(databases: Mapping[str, Database]) -> Sequence[ToolSchema]:
    """`schema()` and `query(sql)`; with more than one database, both take its name as well."""
    which = _which_database(databases)
    sql = {"sql": {"type": "string", "description": "One SELECT statement."}}
    return (
        _schema(SCHEMA, "Read the tables, columns and keys of the database.", which),
        _schema(QUERY, "Propose one read-only SELECT. It is checked, then run; its rows are returned.", sql | which),
    )


def _which_database(databases: Mapping[str, Database]) -> dict[str, Any]:
    if len(databases) < 2:
        return {}
    return {"database": {"type": "string", "enum": list(databases), "description": "Which database."}}


def _schema(name: str, description: str, properties: dict[str, Any]) -> ToolSchema:
    parameters = ParametersSchema(
        type="object", properties=properties, required=list(properties), additionalProperties=False
    )
    return ToolSchema(name=name, description=description, parameters=parameters)
