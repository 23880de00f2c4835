"""The base class of the tables of the configuration, and types that several tables use."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"is no regular expression: {exc}") from None
    return pattern


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
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="the name of an HTTP header")]
Origin = Annotated[
    str,
    Field(
        pattern=r"^https?://[A-Za-z0-9.\[\]:-]+$",
        description='an origin as browsers send it, such as "https://chat.example.com": no path, no slash at its end',
    ),
]
Pattern = Annotated[str, AfterValidator(_regular_expression)]
Strings = Annotated[tuple[str, ...], Strict(False)]


class ConfigTable(BaseModel):
    """One table: frozen, rejects unknown keys, and is strict about types ("8000" is no port, true is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
