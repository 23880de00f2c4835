"""`scripts/install --uninstall`: removes what was installed; keeps configuration and state without `--purge`."""

import shutil

from scripts.installer import releases, units
from scripts.installer.layout import SERVICE, SOURCE, Layout
from scripts.installer.steps import Steps


def uninstall(layout: Layout, steps: Steps, *, purge: bool) -> None:
    """Stop and remove; with `purge` configuration, keys, secrets, drop-ins and state, too. Repeating is harmless."""
    release = releases.current(layout)
    folder = release.units if release else SOURCE / "systemd"
    if (layout.units / SERVICE).exists():
        steps.take("stopping the service: running answers may end", units.stop_everything)
        steps.take(f"removing the units from {layout.units}", units.remove, layout, folder)
    if layout.home.exists():
        steps.take(f"removing {layout.home}", shutil.rmtree, layout.home)
    drop_ins = sorted(layout.units.glob("aiostream-server*.d"))
    written = [path for path in (layout.settings, *drop_ins, *layout.state) if path.exists() or path.is_symlink()]
    if not purge:
        steps.say(f"kept: {', '.join(map(str, written))} (--purge removes them)" if written else "nothing is left")
        return
    for path in written:
        if path.is_symlink():
            steps.take(f"removing {path}", path.unlink)
        else:
            steps.take(f"removing {path}", shutil.rmtree, path)
    steps.say("nothing is left")
