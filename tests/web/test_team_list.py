"""`GET /v1/teams`, for pages that draw teams."""

import json
from dataclasses import asdict
from pathlib import Path

from aiostream_server.config.load import load_config
from aiostream_server.config.model import TeamConfig
from aiostream_server.service.trial import inspect_team
from tests.kit.serving import config_for, get_json, sample_team, serving


async def test_the_built_in_teams_are_drawn_as_the_command_shows_them(tmp_path: Path) -> None:
    config = load_config(None, {})
    async with serving(config, tmp_path / "served") as server:
        body = await get_json(f"{server.url}/v1/teams")
    assert [(team["id"], team["name"]) for team in body["data"]] == [
        ("general", "General assistant"),
        ("data", "Data analysis"),
    ]
    assert all(team["examples"] and team["description"] for team in body["data"])
    (tmp_path / "looked").mkdir()
    shown = await inspect_team(config, tmp_path / "looked", "data")
    assert body["data"][1]["shape"] == json.loads(json.dumps(asdict(shown.shape)))


async def test_a_team_that_cannot_be_built_hides_no_other(tmp_path: Path) -> None:
    broken = TeamConfig(id="broken", factory=f"{__name__}:raises", description="Fails.")
    async with serving(config_for("http://127.0.0.1:9/v1", broken, sample_team("solo")), tmp_path) as server:
        first, second = [(await get_json(f"{server.url}/v1/teams"))["data"] for _ in range(2)]
    assert first == second
    assert first[0]["shape"] is None
    assert first[1]["shape"]["name"] == "Solo"


def raises(context: object) -> object:
    raise RuntimeError("no such drive")
