"""`scripts/install --upgrade` and `--rollback`: to a release that serves, or back to the one before."""

from pathlib import Path

from scripts.installer import probe, redis, releases, settings, units
from scripts.installer.bundle import find_bundle
from scripts.installer.extras import chosen
from scripts.installer.install import READY_WITHIN_S
from scripts.installer.layout import Layout
from scripts.installer.releases import Release
from scripts.installer.steps import Problem, Steps


def upgrade(layout: Layout, wheels: Path | None, extras: str | None, steps: Steps, *, with_redis: bool = False) -> None:
    """Install a new release with the extras of the old one and those that are named.

    Restore the old state and raise `Problem` where the new one does not serve.
    """
    old = releases.current(layout)
    if old is None:
        raise Problem("nothing is installed yet", "scripts/install, without --upgrade, installs it")
    if with_redis:
        redis.check_program()
    names = chosen(extras, old.extras, *[redis.EXTRA] * with_redis)
    with find_bundle(wheels, names, steps) as bundle:
        if old.made_from == releases.fingerprint(layout, bundle.wheel, names):
            if with_redis:
                units.place(layout, old.units, old.units, steps)
                redis.set_up(layout, steps)
            steps.say(f"{old.name} is this version already: nothing to do")
            return
        folder = releases.next_folder(layout, bundle.wheel)
        new = steps.take(f"making {folder} from the lock", releases.make, layout, folder, bundle, names)
    if new is None:
        steps.say(
            f"would: check {layout.config} with it, switch, restart, ask it a question, or else go back to {old.name}"
        )
        return
    try:
        if with_redis:
            with redis.taken_back_if_it_fails(layout, steps):
                units.place(layout, new.units, old.units, steps)
                redis.set_up(layout, steps)
                _move(layout, old, new, steps)
        else:
            _move(layout, old, new, steps)
    except BaseException:
        releases.remove(new.folder)
        raise
    settings.place_config(layout, new.default_config, old.default_config, steps)
    for surplus in releases.surplus(layout, {old.name, new.name}):
        steps.take(f"removing {surplus}", releases.remove, surplus)
    steps.say(f"{new.name} serves; scripts/install --rollback goes back to {old.name}")


def rollback(layout: Layout, steps: Steps) -> None:
    """Switch to the previous release. Raise `Problem` where there is none, or where it does not serve."""
    here = releases.current(layout)
    earlier = [release for release in releases.releases(layout) if here and release.number < here.number]
    if here is None or not earlier:
        raise Problem(
            "there is no earlier version to go back to", "scripts/install --upgrade from its source tree does"
        )
    if steps.dry_run:
        steps.say(f"would: go back from {here.name} to {earlier[-1].name}")
        return
    _move(layout, here, earlier[-1], steps)
    steps.say(f"{earlier[-1].name} serves")


def _move(layout: Layout, old: Release, new: Release, steps: Steps) -> None:
    """Switch releases. Restore the old state and raise `Problem` where the new one does not serve."""
    steps.say(f"checking {layout.config} with {new.name}")
    try:
        settings.check_config(layout, new)
    except Problem as problem:
        raise Problem(f"{problem}\nnothing was changed: {old.name} serves on") from None
    pid = units.main_pid()
    try:
        _switch(layout, old, new, steps)
    except BaseException as exc:
        _go_back(layout, old, new, pid, steps)
        if isinstance(exc, Problem):
            raise Problem(f"{exc}\nit was taken back: {old.name} serves on") from None
        raise


def _switch(layout: Layout, old: Release, new: Release, steps: Steps) -> None:
    """Units, link, a restart behind a stand-by, and a question that the new release must answer."""
    with settings.passing_key(layout, new) as key:
        units.place(layout, new.units, old.units, steps)
        steps.take(f"switching {layout.current} to {new.name}", releases.switch, layout, new)
        steps.take("restarting, while a stand-by serves", units.restart)
        address = units.address(layout)
        steps.take(f"waiting for {address}/readyz", probe.wait_until_ready, address, READY_WITHIN_S)
        if failure := steps.take("asking it a question", probe.ask_a_question, address, key):
            steps.warn(f"the server works, but its model does not: {failure}")
    units.reload()  # forget the temporary key


def _go_back(layout: Layout, old: Release, new: Release, pid: str, steps: Steps) -> None:
    """Restore `old`. `pid` is the service's main process before the switch, which may still run."""
    steps.say(f"going back to {old.name}")
    units.place(layout, old.units, new.units, steps)
    releases.switch(layout, old)
    if units.main_pid() == pid != "0":
        units.stop_standby()
        return
    try:
        units.restart()
        probe.wait_until_ready(units.address(layout), READY_WITHIN_S)
    except Problem as problem:
        raise Problem(
            f"{new.name} does not serve, and after going back {old.name} does not either:\n{problem}"
        ) from None
