"""Write the matrix into docs/providers.md, and print it: `python -m tests.zoo`."""

import logging
import tempfile
from pathlib import Path

import structlog

from tests.zoo.matrix import DOC, ZOO, both_rows, documented

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
with tempfile.TemporaryDirectory() as made:
    rows = {vendor: both_rows(vendor, Path(made, vendor.__name__)) for vendor in ZOO}
document = documented(DOC.read_text("utf-8"), rows)
DOC.write_text(document, "utf-8")
print(document[document.index("<!-- matrix -->") : document.index("<!-- /refused -->")])
