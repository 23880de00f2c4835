"""The rows that a team's database gave last: what it draws charts of."""

from dataclasses import dataclass

from aiostream_server.tools.sql.rows import Rows


@dataclass(slots=True)
class LatestRows:
    """One team's, and so one run's. None until an approved query has run."""

    rows: Rows | None = None
