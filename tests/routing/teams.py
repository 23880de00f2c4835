"""The teams that the routing tests choose from."""

from typing import Final

from aiostream_server.routing.candidates import Candidate

GENERAL: Final = Candidate("general", "General assistant", "Answers questions and calculates.")
DATA: Final = Candidate("data", "Data analysis", "Answers questions from the company's SQL databases.")
LEAVE: Final = Candidate(
    "people",
    "People team",
    "Knows the company's rules on holidays, sick leave and parental leave.",
    ("How many vacation days are left this year?", "Whom do I tell when I am ill?"),
)
BUILT_IN: Final = (GENERAL, DATA)
