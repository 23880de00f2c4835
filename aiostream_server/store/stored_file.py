"""The description of a file that a run made."""

from dataclasses import dataclass
from typing import Final, TypeAlias

FileOwner: TypeAlias = tuple[str | None, str | None]
"""Key id and user id: `intake.principal.Owner` is one."""

EXTENSIONS: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/json": ".txt",  # `.json` is the description of a file
    "application/pdf": ".pdf",
}
_NO_EXTENSION: Final = ".bin"


class FileRefused(Exception):
    """The file cannot be kept; one line says why."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`expires_at` is Unix time in whole seconds; `digest` the content's SHA-256, in hex."""

    id: str
    media_type: str
    name: str
    size: int
    digest: str
    key_id: str | None
    user_id: str | None
    expires_at: int

    @property
    def owner(self) -> FileOwner:
        return self.key_id, self.user_id

    @property
    def file_name(self) -> str:
        """The file's name with its extension. An agent chooses the name: it may contain slashes."""
        name, extension = self.name or self.id, EXTENSIONS.get(self.media_type, "")
        return name if name.endswith(extension) else f"{name}{extension}"

    @property
    def content_name(self) -> str:
        """The name of its content in the folder."""
        return f"{self.id}{EXTENSIONS.get(self.media_type, _NO_EXTENSION)}"
