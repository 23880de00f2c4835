"""Virtual environments beside each other, and the link to one of them."""

from pathlib import Path

import pytest

from scripts.installer import releases
from scripts.installer.bundle import find_wheel
from scripts.installer.layout import Layout
from scripts.installer.releases import Release
from scripts.installer.steps import Problem


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.venvs.mkdir(parents=True)
    return layout


def release(layout: Layout, name: str, *, whole: bool = True) -> Release:
    folder = layout.venvs / name
    folder.mkdir()
    if whole:
        (folder / "MADE_FROM").write_text("this")
    return Release(folder)


def wheel(folder: Path, version: str = "0.2.0") -> Path:
    path = folder / f"aiostream_server-{version}-py3-none-any.whl"
    path.write_bytes(version.encode())
    return path


def test_a_release_is_numbered_beyond_all_there_are_halves_included(layout: Layout) -> None:
    assert releases.next_folder(layout, wheel(layout.root)).name == "0.2.0-1"
    release(layout, "0.1.0-1")
    release(layout, "0.3.0-9")
    release(layout, "0.1.0.post1-11", whole=False)
    assert releases.next_folder(layout, wheel(layout.root)).name == "0.2.0-12"


def test_they_are_in_the_order_in_which_they_were_made_and_halves_do_not_count(layout: Layout) -> None:
    for name in ("0.1.0-10", "0.2.0-9", "0.1.0-2"):
        release(layout, name)
    release(layout, "0.3.0-11", whole=False)
    assert [found.name for found in releases.releases(layout)] == ["0.1.0-2", "0.2.0-9", "0.1.0-10"]


def test_the_link_goes_from_one_to_the_other_and_is_never_missing(layout: Layout) -> None:
    old, new = release(layout, "0.1.0-1"), release(layout, "0.2.0-2")
    assert releases.current(layout) is None
    for wanted in (old, new, new, old):
        releases.switch(layout, wanted)
        assert releases.current(layout) == wanted
        assert layout.current.readlink() == Path("venvs") / wanted.name
    assert sorted(path.name for path in layout.home.iterdir()) == ["current", "venvs"]


def test_a_link_to_a_half_or_to_nothing_is_no_installation(layout: Layout) -> None:
    releases.switch(layout, release(layout, "0.1.0-1", whole=False))
    assert releases.current(layout) is None
    releases.switch(layout, Release(layout.venvs / "0.1.0-7"))
    assert releases.current(layout) is None


def test_everything_that_is_not_kept_is_surplus(layout: Layout) -> None:
    for name in ("0.1.0-1", "0.2.0-2", "0.3.0-3"):
        release(layout, name)
    release(layout, "0.4.0-4", whole=False)
    surplus = releases.surplus(layout, {"0.2.0-2", "0.3.0-3"})
    assert [folder.name for folder in surplus] == ["0.1.0-1", "0.4.0-4"]


def test_a_folder_without_the_one_wheel_says_how_to_fill_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Problem, match=r"there is no wheel[^\n]*\n  scripts/dev/wheels "):
            find_wheel(folder)
    assert find_wheel(wheel(tmp_path).parent).name == "aiostream_server-0.2.0-py3-none-any.whl"
    wheel(tmp_path, "0.3.0")
    with pytest.raises(Problem, match="there are 2 wheels"):
        find_wheel(tmp_path)


def test_whatever_a_release_is_made_from_makes_it_another_one(layout: Layout) -> None:
    path = wheel(layout.root)
    seen = {releases.fingerprint(layout, path, ()), releases.fingerprint(layout, wheel(layout.root), ())}
    assert len(seen) == 1
    path.write_bytes(b"other")
    seen.add(releases.fingerprint(layout, path, ()))
    layout.settings.mkdir(parents=True)
    layout.more_packages.write_text("httpx")
    seen.add(releases.fingerprint(layout, path, ()))
    assert len(seen) == 3
