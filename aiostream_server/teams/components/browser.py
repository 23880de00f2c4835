"""Whether the browser that AutoGen's web surfer starts is on this machine."""

import subprocess
import sys
from pathlib import Path
from typing import Final

_ASK: Final = (sys.executable, "-m", "playwright", "install", "--dry-run", "chromium")
_AT: Final = "Install location:"
_TIMEOUT_S: Final = 20.0


def missing_browser() -> str | None:
    """What is missing, and the command that installs it; None where it is there, or nobody knows."""
    try:
        told = subprocess.run(_ASK, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    places = [Path(line.partition(_AT)[2].strip()) for line in told.splitlines() if _AT in line]
    browsers = [
        place for place in places if place.name.startswith("chromium")
    ]  # with and without a window: either will do
    if not browsers or any(place.exists() for place in browsers):
        return None
    return f"its browser is not installed: {sys.executable} -m playwright install chromium"
