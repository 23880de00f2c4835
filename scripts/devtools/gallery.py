"""Writes AutoGen Studio's own default gallery to a file: `python gallery.py FILE`.

Runs in the virtual environment that `scripts/dev/fetch gallery` makes, not in the project's.
"""

import sys
import types
from pathlib import Path


def main() -> None:
    # The web surfer imports markitdown to read pages. The gallery needs none of its 200 MB.
    markitdown = types.ModuleType("markitdown")
    vars(markitdown)["MarkItDown"] = object
    sys.modules["markitdown"] = markitdown
    from autogenstudio.gallery.builder import create_default_gallery

    Path(sys.argv[1]).write_text(create_default_gallery().model_dump_json(indent=2), "utf-8")


if __name__ == "__main__":
    main()
