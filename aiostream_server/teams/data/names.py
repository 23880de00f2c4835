"""The data team's agents, by name."""

from typing import Final

DRAFTER: Final = "SQLAgent"
VALIDATOR: Final = "ValidationAgent"
APPROVER: Final = "ApprovalAgent"
RUNNER: Final = "Database"
ANALYST: Final = "AnalysisAgent"
