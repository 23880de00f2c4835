"""Two large schemas with questions about them, in the manner of public ones, for real databases.

`erp` has some 340 tables with foreign keys and few comments. `mixed` has a thousand: an ERP with short names and
comments, a CRM in camel case, a hospital, a shop in WordPress, a music database. The files hold a table a line.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_TABLE: Final = re.compile(r"(\w+)(?: \"([^\"]*)\")? \| (.*)")
_COLUMN: Final = re.compile(r"(\w+)(\*?)(?::(\w+))?(?:>(\w+))?(?:\{([^}]*)\})?(?: \"([^\"]*)\")?(?:, |$)")
_TYPES: Final = {"": "text", "int": "integer", "num": "numeric(12, 2)", "bool": "boolean", "time": "timestamp"}
_ENTITIES: Final = (
    *("area", "artist", "event", "genre", "instrument", "label", "place"),
    *("recording", "release", "release_group", "series", "url", "work"),
)
_OF_ENTITY: Final = (
    *("alias", "alias_type", "annotation", "gid_redirect", "tag", "tag_raw", "rating_raw", "meta"),
    *("attribute", "attribute_type", "attribute_type_allowed_value"),
)


@dataclass(frozen=True)
class MadeColumn:
    name: str
    type: str = "text"
    references: str = ""
    labels: tuple[str, ...] = ()
    comment: str = ""
    is_key: bool = False


@dataclass(frozen=True)
class MadeTable:
    name: str
    comment: str = ""
    columns: tuple[MadeColumn, ...] = field(default=())


@dataclass(frozen=True)
class Asked:
    """A question, and the tables without which it cannot be answered."""

    question: str
    needed: frozenset[str]


def erp() -> list[MadeTable]:
    hub = (
        MadeColumn("create_uid", "integer", "res_users"),
        MadeColumn("create_date", "timestamp"),
        MadeColumn("write_uid", "integer", "res_users"),
        MadeColumn("write_date", "timestamp"),
    )
    return [
        each if each.name.endswith("_rel") else MadeTable(each.name, each.comment, (*each.columns, *hub))
        for each in _wide("erp")
    ]


def mixed() -> list[MadeTable]:
    crm = [*_wide("crm")]
    music = [*_wide("music")]
    return [
        *_wide("sap"),
        *_more_of_sap(),
        *crm,
        *(made for table in crm for made in _beside(table)),
        *_wide("hospital"),
        *_wide("web"),
        *music,
        *_more_of_music({table.name for table in music}),
    ]


def questions(name: str) -> list[Asked]:
    lines = (_HERE / f"{name}_questions.txt").read_text("utf-8").splitlines()
    parts = [line.rsplit(" | ", 1) for line in lines if not line.startswith("#")]
    return [Asked(question, frozenset(needed.split(", "))) for question, needed in parts]


def _wide(name: str) -> Iterator[MadeTable]:
    """As many columns as real tables have: some of those that such a schema has everywhere, always the same."""
    lines = (_HERE / "common_columns.txt").read_text("utf-8").splitlines()
    pool = [*_columns(next(line for line in lines if line.startswith(f"{name} | ")).partition(" | ")[2])]
    for table in _tables(name):
        drawn = random.Random(table.name).sample(pool, k=min(len(pool), 8 + len(table.columns)))
        own = {column.name for column in table.columns}
        more = [column for column in pool if column in drawn and column.name not in own]
        yield table if table.name.endswith("_rel") else MadeTable(table.name, table.comment, (*table.columns, *more))


def _tables(name: str) -> Iterator[MadeTable]:
    for line in (_HERE / f"{name}.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            match = _TABLE.fullmatch(line)
            assert match is not None, line
            columns = [*_columns(match[3])]
            if not any(column.is_key for column in columns) and "meta_key" not in match[3]:
                columns.insert(0, MadeColumn("id", "integer", is_key=True))
            yield MadeTable(match[1], match[2] or "", tuple(columns))


def _columns(text: str) -> Iterator[MadeColumn]:
    end = 0
    for match in _COLUMN.finditer(text):
        assert match.start() == end, text[end:]
        end = match.end()
        kind = _TYPES.get(match[3] or "", match[3] or "text")
        labels = tuple(match[5].split("/")) if match[5] else ()
        yield MadeColumn(
            match[1], "integer" if match[4] else kind, match[4] or "", labels, match[6] or "", bool(match[2])
        )
    assert end == len(text), text[end:]


def _more_of_sap() -> Iterator[MadeTable]:
    for line in (_HERE / "sap_more.txt").read_text("utf-8").splitlines():
        for entry in () if line.startswith("#") else line.split("|"):
            name, _, comment = entry.partition(" ")
            key = MadeColumn("pernr" if name.startswith("pa") else "mandt", comment="Key", is_key=True)
            yield MadeTable(name, comment, (key, MadeColumn("spras", comment="Language key"), MadeColumn("bezei")))


def _beside(table: MadeTable) -> Iterator[MadeTable]:
    """The changes of a table, and the columns that a customer added."""
    key = MadeColumn("id", "integer", is_key=True)
    parent = MadeColumn("parentId", "integer", table.name)
    changes = [MadeColumn(name) for name in ("fieldName", "dataType", "beforeValue", "afterValue", "createdBy")]
    yield MadeTable(f"{table.name}_audit", "", (key, parent, *changes))
    yield MadeTable(f"{table.name}_cstm", "", (key, MadeColumn("legacyCode_c"), MadeColumn("segment_c")))


def _more_of_music(known: set[str]) -> Iterator[MadeTable]:
    key = MadeColumn("id", "integer", is_key=True)
    for number, entity in enumerate(_ENTITIES):
        own = MadeColumn(entity, "integer", entity)
        for suffix in _OF_ENTITY:
            name = f"{entity}_{suffix}"
            if name not in known:
                tag = [MadeColumn("tag", "integer", "tag"), MadeColumn("count", "integer")] if "tag" in suffix else []
                yield MadeTable(name, "", (key, own, *tag, MadeColumn("name"), MadeColumn("last_updated", "timestamp")))
        for name in (f"edit_{entity}", f"editor_collection_{entity}"):
            yield MadeTable(name, "", (key, own, MadeColumn("added", "timestamp")))
        for other in _ENTITIES[number:]:
            ends = (MadeColumn("entity0", "integer", entity), MadeColumn("entity1", "integer", other))
            link = MadeColumn("link", "integer", "link")
            yield MadeTable(f"l_{entity}_{other}", "", (key, link, *ends, MadeColumn("link_order", "integer")))
            yield MadeTable(f"l_{entity}_{other}_example", "", (key, MadeColumn("published", "boolean")))


def as_postgres(tables: Sequence[MadeTable], schema: str) -> str:
    """The statements that make it, in a schema of its own."""
    made = [f"CREATE SCHEMA {schema}", f"SET search_path TO {schema}"]
    enums = {
        column.labels: f"{table.name}_{column.name}" for table in tables for column in table.columns if column.labels
    }
    for labels, name in enums.items():
        made.append(f'CREATE TYPE "{name}" AS ENUM ({", ".join(map(_literal, labels))})')
    for table in tables:
        columns = [f'"{each.name}" {_postgres_type(each, enums)}' for each in table.columns]
        made.append(f'CREATE TABLE "{table.name}" ({", ".join(columns)})')
    known = {table.name: table for table in tables}
    for table in tables:
        if table.comment:
            made.append(f'COMMENT ON TABLE "{table.name}" IS {_literal(table.comment)}')
        for column in table.columns:
            if column.comment:
                made.append(f'COMMENT ON COLUMN "{table.name}"."{column.name}" IS {_literal(column.comment)}')
            if column.references:
                key = _key_of(known[column.references])
                made.append(
                    f'ALTER TABLE "{table.name}" ADD FOREIGN KEY ("{column.name}") '
                    f'REFERENCES "{column.references}" ("{key}")'
                )
    return ";\n".join(made) + ";"


def as_sqlite(tables: Sequence[MadeTable]) -> str:
    known = {table.name: table for table in tables}
    made = []
    for table in tables:
        columns = []
        for each in table.columns:
            to = f' REFERENCES "{each.references}" ("{_key_of(known[each.references])}")' if each.references else ""
            columns.append(f'"{each.name}" {each.type}{" PRIMARY KEY" if each.is_key else ""}{to}')
        made.append(f'CREATE TABLE "{table.name}" ({", ".join(columns)});')
    return "\n".join(made)


def _postgres_type(column: MadeColumn, enums: dict[tuple[str, ...], str]) -> str:
    kind = f'"{enums[column.labels]}"' if column.labels else column.type
    return f"{kind} PRIMARY KEY" if column.is_key else kind


def _key_of(table: MadeTable) -> str:
    return next(column.name for column in table.columns if column.is_key)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
