"""/etc/aiostream-server: created where it is missing; the administrator's files are never changed."""

import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.installer.layout import Layout
from scripts.installer.releases import Release
from scripts.installer.steps import Problem, Steps, run, write_file


def lay_out(layout: Layout, steps: Steps) -> None:
    """The folders, and an empty keys file."""
    for folder, mode in (
        (layout.settings, 0o755),
        (layout.credentials, 0o700),
        (layout.keys_file.parent.parent, 0o700),
        (layout.keys_file.parent, 0o755),
    ):
        if not folder.is_dir():
            steps.take(f"making {folder}", _make, folder, mode)
    if not layout.keys_file.exists():
        steps.take(f"making {layout.keys_file}", write_file, layout.keys_file, b"[]\n")


def place_config(layout: Layout, default: Path, before: Path | None, steps: Steps) -> None:
    """`server.toml` from the default where there is none; else `server.toml.new`, where the default is another one now.

    `before` is the default of the version that was installed until now.
    """
    new = layout.config.with_name("server.toml.new")
    if not layout.config.exists():
        steps.take(f"writing {layout.config}", write_file, layout.config, default.read_bytes())
    elif before is not None and before.is_file() and before.read_bytes() != default.read_bytes():
        line = f"writing {new}: the defaults have changed; {layout.config.name} stays as it is"
        steps.take(line, write_file, new, default.read_bytes())


def has_keys(layout: Layout) -> bool:
    """Whether there is a key. A keys file in another place counts as one with keys."""
    if keys_file(layout) != layout.keys_file:
        return True
    return layout.keys_file.exists() and layout.keys_file.read_text("utf-8").strip() not in ("", "[]")


def keys_file(layout: Layout) -> Path | None:
    """What the configuration names; the shipped one's where there is no configuration yet."""
    if not layout.config.exists():
        return layout.keys_file
    try:
        auth = tomllib.loads(layout.config.read_text("utf-8")).get("auth", {})
    except (ValueError, OSError) as exc:
        raise Problem(f"{layout.config} cannot be read: {exc}", "repair it, and run this again") from None
    named = auth.get("keys_file") if isinstance(auth, dict) else None
    return layout.settings / named if isinstance(named, str) else None


def create_key(layout: Layout, release: Release, name: str) -> str:
    """A new key, which is stored only as a hash."""
    return run(release.program, "keys", "create", name, "--config", str(layout.config)).strip()


@contextmanager
def passing_key(layout: Layout, release: Release) -> Iterator[str | None]:
    """A temporary key, revoked at the end of the block; None where the server needs none."""
    if keys_file(layout) is None:
        yield None
        return
    key = create_key(layout, release, "upgrade-check")
    try:
        yield key
    finally:
        run(release.program, "keys", "revoke", key.split("-")[1], "--config", str(layout.config))


def check_config(layout: Layout, release: Release) -> None:
    """Raise `Problem` where this version cannot serve what is configured. It reads the secrets as the service would,
    and leaves the service's state alone."""
    with _surroundings(layout) as environ:
        run(release.program, "check", "--config", str(layout.config), environ=environ)


@contextmanager
def _surroundings(layout: Layout) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="aiostream-server-check.") as folder:
        state, credentials = Path(folder, "state"), Path(folder, "credentials")
        state.mkdir()
        credentials.mkdir()
        for secret in layout.credentials.iterdir() if layout.credentials.is_dir() else ():
            (credentials / f"secret_{secret.name}").symlink_to(secret)
        yield {**os.environ, "STATE_DIRECTORY": str(state), "CREDENTIALS_DIRECTORY": str(credentials)}


def _make(folder: Path, mode: int) -> None:
    folder.mkdir(parents=True)
    folder.chmod(mode)
