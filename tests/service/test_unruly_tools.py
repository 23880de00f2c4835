"""Tools that would end the server, stop its event loop or cancel its tasks: other people's streams go on.

A real process, because what escapes ends it; on both event loops.
"""

from pathlib import Path

import pytest

from tests.kit.process import ServerProcess, serving_process
from tests.kit.scripted_provider import Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import asking
from tests.service.unruly_teams import TOOLS

SAYS = {
    "exits": "the tool exits tried to end the server (SystemExit)",
    "closes_the_loop": "Cannot close a running event loop",
    "forks": "the child ended with 7",
    "stops_an_iteration": "the function raised StopIteration",
    "stops_an_iteration_in_a_thread": "the function raised StopIteration",
    "stops_an_iteration_in_its_own_pool": "the function raised StopIteration",
}
"""What the model is told; of the other tools that they acted."""


def config(provider: ScriptedProvider, loop: str) -> str:
    tools = [tool.__name__ for tool in TOOLS] + ["interrupts"]
    teams = "\n".join(f'[[teams]]\nid = "{tool}"\nfactory = "tests.service.unruly_teams:team_{tool}"' for tool in tools)
    solo = '[[teams]]\nid = "solo"\nfactory = "tests.kit.sample_teams:solo"'
    model = f'[models.default]\nprovider = "openai"\nmodel = "scripted"\nbase_url = "{provider.base_url}"'
    return f'[server]\nport = 0\nlog_format = "json"\nloop = "{loop}"\n{model}\n{solo}\n{teams}\n'


async def asked(server: ServerProcess, model: str) -> str:
    async with asking(server.url, "hi", model=model) as answer:
        assert [piece async for piece in answer.pieces()]
        return str(answer.frames)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_the_streams_of_others_go_on(loop: str, tmp_path: Path) -> None:
    gate = Gate()
    async with ScriptedProvider() as provider, serving_process(config(provider, loop), tmp_path) as server:
        provider.script(ScriptedAnswer("Before ", gate, "and after."))
        async with asking(server.url, "a long one", model="solo") as bystander:
            pieces = bystander.pieces()
            seen = [await anext(pieces)]
            for tool in TOOLS:
                said = await asked(server, tool.__name__)
                assert SAYS.get(tool.__name__, "acted") in said, (tool, said)
                assert "'finish_reason': 'stop'" in said
            await server.until_logged("event_loop_survived", 3)
            gate.open()
            seen += [piece async for piece in pieces]
        assert "".join(map(str, seen)).count("and after.") == 1
        assert server.process.returncode is None

        contained = server.named("base_exception_contained")
        assert {line["raised_by"] for line in contained} == {"the tool exits", "the tool leaves_a_task"}
        causes = {line["cause"] for line in server.named("event_loop_survived")}
        assert causes == {"SystemExit in a callback", "a call of loop.stop()", "a cancellation of all tasks"}

        (failed,) = server.named("thread_failed")
        assert (failed["error"], failed["thread"]) == ("ZeroDivisionError", "reckoner")
        (ignored,) = server.named("error_ignored")
        assert (ignored["error"], ignored["raised_by"].rpartition(".")[2]) == ("KeyError", "__del__")
        assert all("unruly_teams.py:" in line["place"] for line in (failed, ignored))
        assert not any("Traceback" in line for line in server.lines)

        await asked(server, "interrupts")  # taken for the signal that it is: the server drains
        assert await server.end() == 0
