"""What every table of the configuration has in common, and the types that many keys have."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

TeamId = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description='a name of at most 64 lower-case letters, digits, ".", "_" and "-"',
    ),
]
Factory = Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$", description='"module:function"')]
HttpUrl = Annotated[
    str, Field(pattern=r"^https?://[^\s/?#]+", description="a URL that begins with http:// or https://")
]
Strings = Annotated[tuple[str, ...], Strict(False)]


class Table(BaseModel):
    """One table: frozen, without unknown keys, and strict about types ("8000" is no port, true is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
