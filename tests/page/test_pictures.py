"""The pictures of a run: on a server with keys, after their links have expired, and without the server."""

import json
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.kit.needs import needs
from tests.kit.serving import serving
from tests.page.browsing import Window, browser, window

pytestmark = [needs("browser"), pytest.mark.timeout(120)]
HELD = "[...document.querySelectorAll('.transcript img')].map(each => each.naturalWidth > 100)"


async def drawn(shown: Window) -> None:
    await shown.page.wait_for_selector(".transcript img", state="attached")
    assert await shown.page.evaluate(HELD) == [True]


async def test_a_downloaded_run_has_its_pictures(tmp_path: Path) -> None:
    key, text = new_key("page")
    add_key(tmp_path / "keys.json", key)
    config = load_config(None, {}).model_copy(update={"auth": AuthConfig(keys_file=tmp_path / "keys.json")})
    saved, edited = tmp_path / "run.jsonl", tmp_path / "edited.jsonl"
    async with serving(config, tmp_path) as server, browser() as opened:
        shown = await window(opened, server.url)
        page = shown.page
        await page.fill("#key", text.get_secret_value())
        await page.get_by_role("button", name="Use this key").click()
        await page.wait_for_selector(".card")
        await shown.ask("How did revenue develop month by month? Draw a chart.", team="data")
        await shown.until("stop")
        await drawn(shown)
        async with page.expect_download() as started:
            await page.get_by_role("button", name="Download events").click()
        await (await started.value).save_as(saved)
        lines = saved.read_text("utf-8").splitlines()
        [file] = [each for line in lines if (each := json.loads(line)).get("object") == "file"]
        assert file["media_type"] in ("image/png", "image/svg+xml")

        # Its links have expired, and it has no pictures: the server gives them to the owner.
        without = [line.replace("signature=", "signature=x") for line in lines if '"file"' not in line]
        edited.write_text("\n".join(without), "utf-8")
        await page.reload()
        await page.click('nav a[data-page="runs"]')
        await page.set_input_files('input[type="file"]', edited)
        await drawn(shown)

        other = await window(opened, server.url)
        await other.page.fill("#key", text.get_secret_value())
        await other.page.get_by_role("button", name="Use this key").click()
        await other.page.click('nav a[data-page="runs"]')
        await other.page.wait_for_selector("tbody tr")
        await server.runner.cleanup()
        await other.page.set_input_files('input[type="file"]', saved)
        await drawn(other)
        assert [shown.foreign, other.foreign] == [[], []]
