"""Each directive of the sandbox, by a probe that root passes outside of it: docs/systemd.md has the table."""

import json
import os
import resource
import shutil
import time
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.systemd import box
from tests.systemd.probes import PROBES

DROP_INS: Final = Path(__file__).parents[2] / "systemd" / "drop-ins"
FILES: Final = str(min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
# What the probe gets: outside, and in the service.
EXPECTED: Final = {
    "write_etc": ("done", "EROFS"),
    "write_usr": ("done", "EROFS"),
    "write_opt": ("done", "EROFS"),
    "write_state": ("644", "600"),
    "read_home": ("private", "EACCES"),
    "see_tmp": ("others", "ENOENT"),
    "run_from_state": ("done", "EACCES"),
    "run_from_tmp": ("done", "EACCES"),
    "run_from_var_tmp": ("done", "EACCES"),
    "run_from_shm": ("done", "EACCES"),
    "gain_privileges": ("root", "an ordinary user"),
    "capabilities": ("CapPrm: CapEff: CapBnd:", "none"),
    "users": ("all", "few"),
    "memory_writable_and_executable": ("done", "EPERM"),
    "memory_made_executable": ("done", "EPERM"),
    "trace_another_process": ("done", "EPERM"),
    "raw_socket": ("done", "EPERM"),
    "netlink_socket": ("done", "EAFNOSUPPORT"),
    "packet_socket": ("done", "EAFNOSUPPORT"),
    "device": ("4", "ENOENT"),
    "make_device": ("done", "EPERM"),
    "user_namespace": ("done", "EPERM"),
    "mount_namespace": ("done", "EPERM"),
    "network_namespace": ("done", "EPERM"),
    "mount_something": ("done", "EPERM"),
    "set_user_id_bit": ("done", "EPERM"),
    "other_personality": ("done", "EPERM"),
    "host_name": ("done", "EPERM"),
    "clock": ("done", "EPERM"),
    "kernel_log": ("done", "EPERM"),
    "kernel_module": ("ENOSYS", "EPERM"),
    "kernel_tunable": ("done", "ENOENT"),
    "kernel_figures": ("seen", "ENOENT"),
    "control_groups": ("done", "EROFS"),
    "other_processes": ("seen", "ENOENT"),
    "call_of_the_privileged": ("done", "EPERM"),
    "call_for_resources": ("done", "EPERM"),
    "files": (None, FILES),
    "core_dump_bytes": ("-1", "0"),
    "lock_a_file": ("done", "done"),
    "configuration": ("keys", "keys"),
    "keys_file": ("box", "box"),
    "credential_on_disk": ("sk-canary-of-the-provider", "EACCES"),
    "credential": ("KeyError", "sk-canary-of-the-provider"),
    "reach_other_network": ("ECONNREFUSED", "ECONNREFUSED"),
}


@pytest.fixture(scope="module")
def outside(key: str) -> dict[str, str]:
    seen: dict[str, str] = json.loads(box.python("/etc/aiostream-server/probes.py"))
    return seen


async def probed(session: aiohttp.ClientSession) -> dict[str, str]:
    seen: dict[str, str] = json.loads(await box.ask(session, "probe", model="probes"))
    return seen


async def test_probes_pass_outside_and_fail_in_the_service(
    session: aiohttp.ClientSession, outside: dict[str, str]
) -> None:
    assert EXPECTED.keys() == PROBES.keys()
    assert {
        name: seen for name, seen in outside.items() if EXPECTED[name][0] is not None and seen != EXPECTED[name][0]
    } == {}
    inside = await probed(session)
    assert {name: seen for name, seen in inside.items() if seen != EXPECTED[name][1]} == {}


async def test_service_has_namespaces_of_its_own(session: aiohttp.ClientSession) -> None:
    pid = box.main_pid()
    kinds = {"mnt", "ipc", "user", "uts"}
    assert {kind for kind in kinds if box.namespace(pid, kind) == box.namespace(os.environ["LEADER"], kind)} == set()


async def test_egress_drop_in_lets_nothing_out_but_what_is_named(session: aiohttp.ClientSession) -> None:
    with box.drop_in((DROP_INS / "egress.conf").read_text()):
        await box.systemctl("restart", box.SERVICE)
        inside = await probed(session)  # asked over 127.0.0.1, which is named
    await box.systemctl("restart", box.SERVICE)
    assert inside["reach_other_network"] in ("EPERM", "ETIMEDOUT")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
async def test_node_runs_with_the_jit_drop_in_and_not_without(session: aiohttp.ClientSession) -> None:
    shutil.copy(str(shutil.which("node")), box.path("/usr/local/bin/node"))
    runs_node = "[Service]\nRestart=no\nExecStartPre=/usr/local/bin/node -e 'console.log(6 * 7)'\n"
    since = time.time()
    with box.drop_in(runs_node), pytest.raises(AssertionError, match="status 1"):
        await box.systemctl("restart", box.SERVICE)
    with box.drop_in(runs_node + (DROP_INS / "jit.conf").read_text()):
        await box.systemctl("restart", box.SERVICE)
        assert "\n42\n" in box.journal(since)
    await box.systemctl("restart", box.SERVICE)


async def test_jit_drop_in_lets_memory_become_executable_and_nothing_else_go(session: aiohttp.ClientSession) -> None:
    with box.drop_in((DROP_INS / "jit.conf").read_text()):
        await box.systemctl("restart", box.SERVICE)
        inside = await probed(session)
    await box.systemctl("restart", box.SERVICE)
    allowed = {
        "memory_writable_and_executable": "done",
        "memory_made_executable": "done",
        "run_from_state": "done",
    }
    assert {name: seen for name, seen in inside.items() if seen != EXPECTED[name][1]} == allowed
