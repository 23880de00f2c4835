"""`[files]`: the pictures and other files that answers link to."""

from pydantic import PositiveFloat, PositiveInt

from aiostream_server.config.table import Table


class FilesConfig(Table):
    """`[files]`: how long they are kept, and how much of them. They lie in the state directory."""

    expiry_s: PositiveFloat = 30 * 24 * 3600.0
    max_bytes: PositiveInt = 512 * 1024**2
    max_file_bytes: PositiveInt = 8 * 1024**2
