"""`scripts/install`: installs everything that is missing."""

from pathlib import Path
from typing import Final

from scripts.installer import probe, redis, releases, settings, units
from scripts.installer.bundle import find_bundle
from scripts.installer.extras import chosen
from scripts.installer.layout import SERVICE, SOCKET, SOURCE, Layout
from scripts.installer.releases import Release
from scripts.installer.steps import Problem, Steps, run

READY_WITHIN_S: Final = 60.0


def install(layout: Layout, wheels: Path | None, extras: str | None, steps: Steps, *, with_redis: bool = False) -> None:
    """Install what is missing; change nothing where everything is there. Raises `Problem`."""
    if with_redis:
        redis.check_program()
    release = _release(layout, wheels, extras, steps, *[redis.EXTRA] * with_redis)
    settings.lay_out(layout, steps)
    settings.place_config(layout, SOURCE / "configs" / "service.toml", None, steps)
    if release is None:
        steps.say(
            "would: install the units, create the first key, start the socket and the service, and ask a question"
        )
        return
    if with_redis:
        units.place(layout, release.units, release.units, steps)
        redis.set_up(layout, steps)
    if layout.config.exists():  # in a dry run it may not exist
        settings.check_config(layout, release)
    units.place(layout, release.units, release.units, steps)
    if releases.current(layout) is None:
        steps.take(f"switching {layout.current} to {release.name}", releases.switch, layout, release)
    key = None
    if not settings.has_keys(layout):
        key = steps.take("creating the first key", settings.create_key, layout, release, "first")
    try:
        _start(steps)
        if not steps.dry_run:
            _confirm(layout, key, steps)
    finally:
        if key is not None:
            steps.say(_KEY.format(key=key))
    if key is not None:
        steps.say(_WHAT_NEXT.format(layout=layout))


def _release(layout: Layout, wheels: Path | None, named: str | None, steps: Steps, *also: str) -> Release | None:
    """The installed one, or a new one; None in a dry run on a machine that has none."""
    release = releases.current(layout)
    extras = chosen(named, release.extras if release else (), *also)
    with find_bundle(wheels, extras, steps) as bundle:
        made_from = releases.fingerprint(layout, bundle.wheel, extras)
        if release is None:
            whole = releases.releases(layout)
            for half in releases.surplus(layout, {release.name for release in whole}):
                steps.take(f"removing {half}, which an interrupted installation left", releases.remove, half)
            if whole and whole[-1].made_from == made_from:
                return whole[-1]
            folder = releases.next_folder(layout, bundle.wheel)
            return steps.take(f"making {folder} from the lock", releases.make, layout, folder, bundle, extras)
        if release.made_from != made_from:
            raise Problem(
                f"another version is installed: {release.name}", "scripts/install --upgrade replaces it by this one"
            )
        return release


def _start(steps: Steps) -> None:
    for unit in (SOCKET, SERVICE):
        if not units.is_enabled(unit):
            steps.take(f"systemctl enable {unit}", run, "systemctl", "enable", unit)
        if not units.is_active(unit):
            steps.take(f"systemctl start {unit}", units.start, unit)


def _confirm(layout: Layout, key: str | None, steps: Steps) -> None:
    address = units.address(layout)
    probe.wait_until_ready(address, READY_WITHIN_S)
    if key is not None:
        units.reload()  # a server that ran before does not know the key yet
        if failure := steps.take("asking it a question", probe.ask_a_question, address, key):
            steps.warn(f"the server works, but its model does not: {failure}")
    steps.say(f"installed, and ready at {address}/v1")


_KEY: Final = """
The first key, which is shown this once:

    {key}
"""
_WHAT_NEXT: Final = """What to do next:
  - a model: its provider's key into {layout.credentials}/openai (mode 0600), and a
    [models.default] into {layout.config}, which has an example; until then the demo model
    answers, which is no language model
  - after a change, restart without losing anybody: systemctl start aiostream-server-restart
    (what does not start fails there, and the old server goes on; journalctl has the reason)
  - other machines: a proxy with TLS in front of it (configs/nginx, configs/caddy)
  - the log: journalctl -u aiostream-server; everything else: docs/install.md"""
