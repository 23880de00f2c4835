"""/etc/aiostream-server: made where it is missing, never changed where the administrator has been."""

from pathlib import Path

import pytest

from scripts.installer import settings, units
from scripts.installer.layout import Layout
from scripts.installer.steps import Problem, Steps

STEPS = Steps()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def default(folder: Path, text: str) -> Path:
    path = folder / f"default-{len(text)}"
    path.write_text(text)
    return path


def test_secrets_and_keys_lie_where_only_root_gets(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    settings.lay_out(layout, STEPS)
    assert [mode(folder) for folder in (layout.settings, layout.credentials, layout.settings / "private")] == [
        0o755,
        0o700,
        0o700,
    ]
    assert layout.keys_file.read_text() == "[]\n"
    assert mode(layout.keys_file) == 0o644  # in private/, which is root's: the service sees it through a mount
    assert not settings.has_keys(layout)


def test_laying_out_again_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(tmp_path)
    settings.lay_out(layout, STEPS)
    layout.keys_file.write_text('[{"id": "x"}]')
    layout.credentials.chmod(0o500)
    capsys.readouterr()
    settings.lay_out(layout, STEPS)
    assert capsys.readouterr().out == ""
    assert layout.keys_file.read_text() == '[{"id": "x"}]'
    assert mode(layout.credentials) == 0o500
    assert settings.has_keys(layout)


def test_a_configuration_is_written_where_there_is_none(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.settings.mkdir(parents=True)
    settings.place_config(layout, default(tmp_path, "[server]"), None, STEPS)
    assert (layout.config.read_text(), mode(layout.config)) == ("[server]", 0o644)


@pytest.mark.parametrize(("was", "beside"), [("[server]\n", True), ("[server]\n# new\n", False), (None, False)])
def test_one_that_is_there_stays_and_a_changed_default_goes_beside_it(
    tmp_path: Path, was: str | None, beside: bool
) -> None:
    layout = Layout(tmp_path)
    layout.settings.mkdir(parents=True)
    layout.config.write_text("# mine")
    before = default(tmp_path, was) if was else None
    settings.place_config(layout, default(tmp_path, "[server]\n# new\n"), before, STEPS)
    assert layout.config.read_text() == "# mine"
    new = layout.settings / "server.toml.new"
    assert new.exists() == beside
    assert not beside or new.read_text() == "[server]\n# new\n"


def test_a_keys_file_elsewhere_is_the_administrators(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    settings.lay_out(layout, STEPS)
    layout.config.write_text('[auth]\nkeys_file = "/srv/keys.json"')
    assert settings.keys_file(layout) == Path("/srv/keys.json")
    assert settings.has_keys(layout)
    layout.config.write_text("[auth]\n")
    assert settings.keys_file(layout) is None
    layout.config.write_text('[auth]\nkeys_file = "private/keys/keys.json"')
    assert not settings.has_keys(layout)


def test_a_configuration_that_is_no_toml_ends_it_with_what_to_do(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.settings.mkdir(parents=True)
    layout.config.write_text("[auth")
    with pytest.raises(Problem, match=r"cannot be read: [^\n]*\n  repair it"):
        settings.keys_file(layout)


def test_a_dry_run_says_everything_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(tmp_path)
    dry = Steps(dry_run=True)
    source = default(tmp_path, "[server]")
    settings.lay_out(layout, dry)
    settings.place_config(layout, source, None, dry)
    units.place(layout, Path(__file__).parents[2] / "systemd", None, dry)
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith("would: ") for line in said)
    assert f"would: installing {layout.units}/aiostream-server.service" in said
    assert said[-1] == "would: systemctl daemon-reload"
    assert sorted(tmp_path.iterdir()) == [source]


def test_an_edited_unit_is_kept_beside_the_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new, layout.units):
        folder.mkdir(parents=True)
        (folder / "aiostream-server.service").write_text(folder.name)
        (folder / "aiostream-server.socket").write_text("the same")
    (layout.units / "aiostream-server.service").write_text("edited")
    assert units.place(layout, new, old, Steps(dry_run=True))
    said = capsys.readouterr()
    assert "aiostream-server.service was edited, and is kept as aiostream-server.service.old" in said.err
    assert said.out.splitlines()[:2] == [
        "would: keeping aiostream-server.service.old",
        f"would: installing {layout.units}/aiostream-server.service",
    ]
    (layout.units / "aiostream-server.service").write_text("new")
    assert not units.place(layout, new, old, Steps(dry_run=True))
