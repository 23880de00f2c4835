"""Write what the examples answer into docs/examples.md: `python -m tests.examples`."""

import asyncio
import tempfile
from pathlib import Path

from tests.examples.serving import DOC, answers, documented

with tempfile.TemporaryDirectory() as state:
    said = asyncio.run(answers(Path(state)))
DOC.write_text(documented(DOC.read_text("utf-8"), said), "utf-8")
