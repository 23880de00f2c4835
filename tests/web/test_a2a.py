"""A2A over a real socket: tasks that are asked for, watched, continued, listed and cancelled; and agent cards."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import LimitsConfig
from tests.kit.scripted_provider import Gate, HttpError, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving
from tests.kit.waiting import wait_for
from tests.web.calling import Answered, Caller, calling
from tests.web.test_keys import keyed
from tests.web.test_runs_api import shell

MANUAL = Path(__file__).parents[2] / "docs" / "a2a.md"
V1 = {"A2A_Version": "1.0"}


def message(text: str, number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"message": {"messageId": f"m{number}", "role": "ROLE_USER", "parts": [{"text": text}], **fields}}


@asynccontextmanager
async def agent(
    folder: Path, *replies: Any, team: str = "solo", **sections: Any
) -> AsyncIterator[tuple[Caller, Server]]:
    async with ScriptedProvider() as provider:
        provider.script(*replies)
        config = config_for(provider.base_url, sample_team(team), **sections)
        async with (
            serving(config, folder) as server,
            calling(f"{server.url}/a2a/{team.replace('_', '-')}", **V1) as caller,
        ):
            yield caller, server


def task_of(answered: Answered) -> dict[str, Any]:
    assert "result" in answered.body, answered.body
    result = answered.body["result"]
    task: dict[str, Any] = result.get("task", result)
    return task


def state_of(task: dict[str, Any]) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def answer_of(task: dict[str, Any]) -> str:
    return "".join(part["text"] for artifact in task.get("artifacts", ()) for part in artifact["parts"])


async def test_a_message_is_answered_with_a_task_that_is_done(tmp_path: Path) -> None:
    async with agent(tmp_path, ScriptedAnswer("Hel", "lo.")) as (caller, _):
        answered = await caller.call("SendMessage", message("hi"))
        task = task_of(answered)
        again = task_of(await caller.call("GetTask", {"id": task["id"]}))
        short = task_of(await caller.call("GetTask", {"id": task["id"], "historyLength": 0}))
    assert (answered.response.status, state_of(task), answer_of(task)) == (200, "COMPLETED", "Hello.")
    assert again == task
    assert "history" not in short
    assert [each["messageId"] for each in task["history"]] == ["m1"]
    assert answered.response.headers["X-Run-Id"].removeprefix("run-") == task["id"].removeprefix("task-")


@pytest.mark.needs("curl")
async def test_the_manuals_command_prints_a_task(tmp_path: Path) -> None:
    found = re.search(r"^```sh\n(.*?)^```", MANUAL.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    async with serving(load_config(None, {}), tmp_path) as server:
        answered = json.loads(await shell(found[1].replace("http://127.0.0.1:8000", server.url)))
    assert "127.5" in answer_of(answered["result"]["task"])


async def test_a_stream_begins_with_the_task_and_ends_with_its_state(tmp_path: Path) -> None:
    async with agent(tmp_path, ScriptedAnswer("Hel", "lo.")) as (caller, _):
        answered = await caller.call("SendStreamingMessage", message("hi"))
        results = [frame["result"] for frame in answered.frames]
        task = task_of(await caller.call("GetTask", {"id": results[0]["task"]["id"]}))
    assert [*results[0], *results[-1]] == ["task", "statusUpdate"]
    assert results[-1]["statusUpdate"]["status"] == task["status"]
    pieces = [result["artifactUpdate"] for result in results if "artifactUpdate" in result]
    assert "".join(each["artifact"]["parts"][0]["text"] for each in pieces) == answer_of(task) == "Hello."
    assert [each.get("append", False) for each in pieces] == [False, True, True]
    assert [each.get("lastChunk", False) for each in pieces] == [False, False, True]


async def test_a_client_that_leaves_ends_nothing_and_subscribes_again(tmp_path: Path) -> None:
    gate = Gate()
    async with agent(tmp_path, ScriptedAnswer("one ", gate, "two")) as (caller, _):
        async with caller.open("SendStreamingMessage", message("hi")) as first:
            async for frame in first.stream():
                if "artifactUpdate" in frame["result"]:
                    break
        task_id = first.frames[0]["result"]["task"]["id"]
        assert state_of(task_of(await caller.call("GetTask", {"id": task_id}))) == "WORKING"
        async with caller.open("SubscribeToTask", {"id": task_id}) as second:
            begun = await anext(second.stream())
            gate.open()
            await second.read_all()
        late = await caller.call("SubscribeToTask", {"id": task_id})
    assert answer_of(begun["result"]["task"]) == "one "
    rest = [frame["result"]["artifactUpdate"] for frame in second.frames if "artifactUpdate" in frame["result"]]
    assert "".join(each["artifact"]["parts"][0]["text"] for each in rest) == "two"
    assert all(each["append"] for each in rest)
    assert late.error[1] == -32004


async def test_an_answer_at_once_is_a_task_that_is_polled(tmp_path: Path) -> None:
    gate = Gate()
    async with agent(tmp_path, ScriptedAnswer(gate, "done")) as (caller, _):
        sent = {**message("hi"), "configuration": {"returnImmediately": True}}
        answered = await caller.call("SendMessage", sent)
        task = task_of(answered)
        assert (answered.response.status, state_of(task)) == (200, "SUBMITTED")
        gate.open()

        async def is_done() -> bool:
            return state_of(task_of(await caller.call("GetTask", {"id": task["id"]}))) == "COMPLETED"

        await wait_for(is_done, "the task is done")


async def test_a_team_that_asks_goes_on_in_the_same_task(tmp_path: Path) -> None:
    replies = ScriptedAnswer("A draft."), ScriptedAnswer("A better draft.")
    async with agent(tmp_path, *replies, team="until_approved") as (caller, _):
        asked = task_of(await caller.call("SendMessage", message("Write.")))
        assert state_of(asked) == "INPUT_REQUIRED"
        of_task = {"taskId": asked["id"]}
        wrong = await caller.call("SendMessage", message("APPROVE", 2, **of_task, contextId="another"))
        revised = task_of(await caller.call("SendMessage", message("Better, please.", 2, **of_task)))
        repeated = task_of(await caller.call("SendMessage", message("Better, please.", 2, **of_task)))
        streamed = await caller.call(
            "SendStreamingMessage", message("APPROVE", 3, **of_task, contextId=asked["contextId"])
        )
        done = task_of(await caller.call("GetTask", of_task | {"id": asked["id"]}))
        over = await caller.call("SendMessage", message("And now?", 4, **of_task))
        listed = (await caller.call("ListTasks", {})).body["result"]
    assert wrong.error[1] == -32602
    assert {each["id"] for each in (asked, revised, repeated, done)} == {asked["id"]}
    assert revised == repeated
    assert state_of(revised) == "INPUT_REQUIRED"
    assert "A better draft." in answer_of(revised)
    first = streamed.frames[0]["result"]["task"]
    assert (first["id"], state_of(first), first["contextId"]) == (asked["id"], "WORKING", asked["contextId"])
    assert [each["parts"][0]["text"] for each in first["history"] if each["role"] == "ROLE_USER"] == [
        "Write.",
        "Better, please.",
        "APPROVE",
    ]
    assert state_of(done) == "COMPLETED"
    assert over.error[1] == -32004
    assert (listed["totalSize"], [each["id"] for each in listed["tasks"]]) == (1, [asked["id"]])


async def test_a_task_that_waits_for_a_reply_is_cancelled(tmp_path: Path) -> None:
    """On a full server, too. Its question is withdrawn: a later message of the context is no reply to it."""
    replies = ScriptedAnswer("A draft."), ScriptedAnswer(Stall()), ScriptedAnswer("A new draft.")
    limits = LimitsConfig(max_runs=1, queue_size=0)
    waiting = {"status": "TASK_STATE_INPUT_REQUIRED"}
    async with agent(tmp_path, *replies, team="until_approved", limits=limits) as (caller, server):
        asked = task_of(await caller.call("SendMessage", message("Write.")))
        listed = [(await caller.call("ListTasks", waiting)).body["result"]["totalSize"]]
        other = {**message("Write, too.", 2), "configuration": {"returnImmediately": True}}
        busy = task_of(await caller.call("SendMessage", other))
        cancelled = task_of(await caller.call("CancelTask", {"id": asked["id"]}))
        listed.append((await caller.call("ListTasks", waiting)).body["result"]["totalSize"])
        shown = task_of(await caller.call("GetTask", {"id": asked["id"]}))
        late = [
            await caller.call("CancelTask", {"id": asked["id"]}),
            await caller.call("SendMessage", message("APPROVE", 3, taskId=asked["id"])),
            await caller.call("SubscribeToTask", {"id": asked["id"]}),
        ]
        await caller.call("CancelTask", {"id": busy["id"]})
        await wait_for(lambda: not len(server.state.registry), "the other run has ended")
        anew = task_of(await caller.call("SendMessage", message("APPROVE", 4, contextId=asked["contextId"])))
    assert state_of(asked) == "INPUT_REQUIRED"
    assert (state_of(cancelled), listed) == ("CANCELED", [1, 0])
    assert shown == cancelled
    assert cancelled["history"] == asked["history"]
    assert answer_of(cancelled) == answer_of(asked)
    assert [each.error[1] for each in late] == [-32002, -32004, -32004]
    assert answer_of(anew) == "A new draft."


async def test_of_two_replies_one_is_taken(tmp_path: Path) -> None:
    replies = ScriptedAnswer("A draft."), ScriptedAnswer("A better draft.")
    async with agent(tmp_path, *replies, team="until_approved") as (caller, _):
        asked = task_of(await caller.call("SendMessage", message("Write.")))
        both = await asyncio.gather(
            *(caller.call("SendMessage", message(f"reply {n}", n, taskId=asked["id"])) for n in (2, 3))
        )
    assert sorted("error" in each.body for each in both) == [False, True]
    assert [each.error[1] for each in both if "error" in each.body] == [-32004]


async def test_the_context_is_the_conversation(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Paris."), ScriptedAnswer("Two million."))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            calling(f"{server.url}/a2a/solo", **V1) as caller,
        ):
            first = task_of(await caller.call("SendMessage", message("Capital of France?")))
            second = task_of(await caller.call("SendMessage", message("People?", 2, contextId=first["contextId"])))
        said = json.dumps(provider.exchanges[-1].body["messages"])
    assert second["contextId"] == first["contextId"]
    assert second["id"] != first["id"]
    assert "Capital of France?" in said
    assert "Paris." in said


async def test_a_message_that_is_sent_again_is_the_same_task(tmp_path: Path) -> None:
    async with agent(tmp_path, ScriptedAnswer("one"), ScriptedAnswer("two")) as (caller, _):
        first = task_of(await caller.call("SendMessage", message("hi")))
        again = await caller.call("SendMessage", message("hi"))
        other = task_of(await caller.call("SendMessage", message("hi there")))
    assert task_of(again) == first
    assert again.response.headers["Idempotent-Replayed"] == "true"
    assert other["id"] != first["id"]


async def test_a_cancelled_task_ends_its_run(tmp_path: Path) -> None:
    async with agent(tmp_path, ScriptedAnswer("one ", Stall())) as (caller, server):
        sent = {**message("hi"), "configuration": {"returnImmediately": True}}
        task = task_of(await caller.call("SendMessage", sent))
        cancelled = task_of(await caller.call("CancelTask", {"id": task["id"]}))
        again = await caller.call("CancelTask", {"id": task["id"]})
        await wait_for(lambda: not len(server.state.registry), "the run has ended")
    assert state_of(cancelled) == "CANCELED"
    assert again.error[1] == -32002


async def test_a_failed_run_is_a_failed_task(tmp_path: Path) -> None:
    async with agent(tmp_path, HttpError(401, {"error": {"message": "wrong key"}})) as (caller, _):
        task = task_of(await caller.call("SendMessage", message("hi")))
    assert state_of(task) == "FAILED"
    assert task["metadata"]["error"] == "provider_refused"
    assert task["status"]["message"]["parts"][0]["text"]


async def test_a_server_that_stops_says_so_in_the_last_status(tmp_path: Path) -> None:
    async with (
        agent(tmp_path, ScriptedAnswer("one ", Stall())) as (caller, server),
        caller.open("SendStreamingMessage", message("hi")) as seen,
    ):
        async for frame in seen.stream():
            if "artifactUpdate" in frame["result"]:
                break
        closing = asyncio.create_task(server.runner.cleanup())
        await seen.read_all()
        await closing
    last = seen.frames[-1]["result"]["statusUpdate"]
    assert (state_of(last), last["metadata"]["error"]) == ("FAILED", "shutting_down")
    assert last["status"]["message"]["parts"][0]["text"] == "the server is shutting down; ask again in a moment"


async def test_tasks_are_listed_in_pages_latest_first(tmp_path: Path) -> None:
    async with agent(tmp_path, *(ScriptedAnswer(f"answer {n}") for n in range(5))) as (caller, _):
        ids = []
        for number in range(5):
            context = {"contextId": "even"} if number % 2 == 0 else {}
            ids.append(task_of(await caller.call("SendMessage", message("hi", number, **context)))["id"])
        found: list[str] = []
        token = ""
        while True:
            page = (await caller.call("ListTasks", {"pageSize": 2, "pageToken": token})).body["result"]
            assert (page["totalSize"], page["pageSize"]) == (5, 2)
            found += [task["id"] for task in page["tasks"]]
            assert not any({"artifacts", "history"} & {*task} for task in page["tasks"])
            if not (token := page["nextPageToken"]):
                break
        even = (await caller.call("ListTasks", {"contextId": "even", "includeArtifacts": True})).body["result"]
        running = (await caller.call("ListTasks", {"status": "TASK_STATE_WORKING"})).body["result"]
        later = (await caller.call("ListTasks", {"statusTimestampAfter": "2999-01-01T00:00:00Z"})).body["result"]
        wrong = [
            await caller.call("ListTasks", {name: value})
            for name, value in {
                "pageToken": "x",
                "pageSize": 101,
                "statusTimestampAfter": "soon",
                "status": "DONE",
            }.items()
        ]
    assert found == ids[::-1]
    assert [answer_of(task) for task in even["tasks"]] == ["answer 4", "answer 2", "answer 0"]
    assert (running["tasks"], running["totalSize"], later["tasks"]) == ([], 0, [])
    assert [each.error[1] for each in wrong] == [-32602] * 4


async def test_what_is_not_served_is_refused_by_its_number(tmp_path: Path) -> None:
    async with agent(tmp_path) as (caller, server):
        refused = {
            "push": await caller.call("CreateTaskPushNotificationConfig", {"taskId": "x", "url": "http://x"}),
            "push in a message": await caller.call(
                "SendMessage", {**message("hi"), "configuration": {"taskPushNotificationConfig": {"url": "http://x"}}}
            ),
            "method": await caller.call("message/send", message("hi")),
            "card": await caller.call("GetExtendedAgentCard"),
            "version": await caller.call("SendMessage", message("hi"), A2A_Version=""),
            "0.3": await caller.call("SendMessage", message("hi"), A2A_Version="0.3"),
            "unknown": await caller.call("GetTask", {"id": f"task-{'A' * 24}"}),
            "no id": await caller.call("GetTask", {}),
            "0.3 message": await caller.call("SendMessage", {"message": {"role": "user", "parts": []}}),
        }
        async with calling(f"{server.url}/a2a/nobody", **V1) as other:
            unknown = await other.call("SendMessage", message("hi"))
    assert {name: each.error[1] for name, each in refused.items()} == {
        "push": -32003,
        "push in a message": -32003,
        "method": -32601,
        "card": -32004,
        "version": -32009,
        "0.3": -32009,
        "unknown": -32001,
        "no id": -32602,
        "0.3 message": -32602,
    }
    assert {each.response.status for each in refused.values()} == {200}
    assert {each.body["id"] for each in refused.values()} == {1}
    assert unknown.error[0] == 404


async def test_a_full_server_and_a_wrong_key_have_their_own_status(tmp_path: Path) -> None:
    limits = LimitsConfig(max_runs=1, queue_size=0)
    async with agent(tmp_path, ScriptedAnswer(Stall()), limits=limits) as (caller, _):
        sent = {**message("hi"), "configuration": {"returnImmediately": True}}
        task = task_of(await caller.call("SendMessage", sent))
        full = await caller.call("SendMessage", message("hi", 2))
        listed = (await caller.call("ListTasks", {})).body["result"]
        await caller.call("CancelTask", {"id": task["id"]})
    assert full.error[:2] == (429, -32000)
    assert full.response.headers["Retry-After"]
    assert listed["totalSize"] == 1


async def test_a_task_is_its_owners_and_a_card_without_a_key_names_no_team(tmp_path: Path) -> None:
    async with keyed(tmp_path, mine=None, other=["general"]) as (server, keys):
        url = f"{server.url}/a2a/general"
        async with calling(url, **V1) as nobody, calling(url, **V1, X_API_Key=keys["other"]) as other:
            refused = await nobody.call("SendMessage", message("hi"))
            async with calling(url, **V1, X_API_Key=keys["mine"]) as mine:
                task = task_of(await mine.call("SendMessage", message("What is 2 + 2?")))
                extended = (await mine.call("GetExtendedAgentCard")).body["result"]
            foreign = await other.call("GetTask", {"id": task["id"]})
            listed = (await other.call("ListTasks")).body["result"]
            public = await card(nobody, f"{server.url}/.well-known/agent-card.json")
            unknown = await card(nobody, f"{server.url}/a2a/nobody/.well-known/agent-card.json")
            known = await card(nobody, f"{url}/.well-known/agent-card.json")
            own = await card(other, f"{server.url}/.well-known/agent-card.json")
    assert refused.error[0] == 401
    assert foreign.error[1] == -32001
    assert listed["tasks"] == []
    assert [skill["id"] for skill in own["skills"]] == ["general"]
    assert own["supportedInterfaces"][0]["url"] == url
    assert extended["name"] != "general"
    assert extended["skills"][0]["examples"]
    assert public["capabilities"]["extendedAgentCard"]
    assert [*public["securitySchemes"]] == ["bearer", "apiKey"]
    assert "data-analysis" not in json.dumps(public)
    assert json.dumps(unknown).replace("nobody", "general") == json.dumps(known)


async def card(caller: Caller, url: str) -> dict[str, Any]:
    async with caller.session.get(url, headers=caller.headers) as response:
        assert response.status == 200, await response.text()
        found: dict[str, Any] = await response.json()
        return found


async def test_cards_of_a_server_without_keys_and_what_a_client_has_of_one(tmp_path: Path) -> None:
    async with agent(tmp_path) as (caller, server), aiohttp.ClientSession(server.url) as session:
        async with session.get("/.well-known/agent-card.json") as response:
            of_server, tag = await response.json(), response.headers["ETag"]
        async with session.get("/a2a/solo/.well-known/agent-card.json") as response:
            of_team = await response.json()
        async with session.get("/.well-known/agent-card.json", headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")
        async with session.get("/a2a/nobody/.well-known/agent-card.json") as response:
            assert response.status == 404
        async with session.get("/.well-known/agent-card.json", headers={"Host": "evil.example"}) as response:
            assert response.status == 403
    assert of_server["supportedInterfaces"][0] == {
        "url": f"{server.url}/a2a/auto",
        "protocolBinding": "JSONRPC",
        "protocolVersion": "1.0",
    }
    assert [skill["id"] for skill in of_server["skills"]] == ["solo"]
    assert of_team["supportedInterfaces"][0]["url"] == caller.url
    assert "securitySchemes" not in of_server


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_the_other_binding_has_the_same_operations_without_the_envelope(tmp_path: Path, prefix: str) -> None:
    async with agent(tmp_path, ScriptedAnswer("Hel", "lo."), ScriptedAnswer("one ", Stall())) as (caller, server):
        base = f"{server.url}{prefix}/a2a/solo"

        async def rest(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
            sent = {**caller.headers, **headers}
            async with caller.session.request(method, f"{base}/{path}", json=body, headers=sent) as response:
                return response.status, await response.json()

        _, sent = await rest("POST", "message:send", message("hi"))
        task = sent["task"]
        assert await rest("GET", f"tasks/{task['id']}?historyLength=3") == (200, task)
        assert (await rest("GET", "tasks?pageSize=1&includeArtifacts=true"))[1]["tasks"][0]["id"] == task["id"]
        async with caller.session.post(
            f"{base}/message:stream", json=message("go", 2), headers=caller.headers
        ) as stream:
            first = json.loads((await stream.content.readline()).removeprefix(b"data: "))
        status, cancelled = await rest("POST", f"tasks/{first['task']['id']}:cancel")
        assert (status, state_of(cancelled)) == (200, "CANCELED")
        status, over = await rest("POST", f"tasks/{task['id']}:cancel")
        assert (status, over["error"]["details"][0]["reason"]) == (400, "TASK_NOT_CANCELABLE")
        status, missing = await rest("GET", "tasks/task-x")
        assert (status, missing["error"]["status"]) == (404, "NOT_FOUND")
        assert (await rest("GET", f"tasks/{task['id']}:subscribe"))[1]["error"]["details"][0][
            "reason"
        ] == "UNSUPPORTED_OPERATION"
        assert (await rest("DELETE", f"tasks/{task['id']}/pushNotificationConfigs/1"))[0] == 400
        page = {"Origin": "http://evil.example"}
        assert (await rest("POST", f"tasks/{task['id']}:cancel", **page))[0] == 415
