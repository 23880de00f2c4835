"""The state directory is systemd's where there is one, else the user's."""

from pathlib import Path

import pytest

from aiostream_server.config.state import state_directory


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/ours:/var/lib/other", "HOME": "/home/me"}, "/var/lib/ours"),
        ({"XDG_STATE_HOME": "/home/me/state", "HOME": "/home/me"}, "/home/me/state/aiostream-server"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/aiostream-server"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/aiostream-server"),
    ],
)
def test_first_place_that_is_named_is_taken(environ: dict[str, str], folder: str) -> None:
    assert state_directory(environ) == Path(folder)
