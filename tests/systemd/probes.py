"""What the sandbox refuses: each probe tries one thing. Prints JSON: a probe's name -> "done", what it saw, or the name
of the error that it got.

Run in the service, and by root outside of it: what fails there too shows nothing. It needs only the standard library.
"""
# ruff: noqa: S108 - the shared folders are what is probed

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_STATE: Final = Path(os.environ.get("STATE_DIRECTORY", "/var/tmp"))
_NOBODY: Final = 65534
_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17
_CLONE_NEWUSER, _CLONE_NEWNS, _CLONE_NEWNET = 0x10000000, 0x00020000, 0x40000000
_SYSLOG_SIZE_BUFFER: Final = 10
_INIT_MODULE: Final = 175
_SETTIMEOFDAY: Final = 164


def _call(function: str, *arguments: object) -> str:
    """A function of the C library that answers -1 where it fails."""
    ctypes.set_errno(0)
    if getattr(_LIBC, function)(*arguments) == -1:
        return errno.errorcode[ctypes.get_errno()]
    return "done"


def _syscall(number: int, *arguments: object) -> str:
    return _call("syscall", number, *arguments)


def _write(folder: str) -> str:
    """Into one that every user may write to."""
    path = Path(folder, "probe")
    path.write_text("x")
    path.unlink()
    return "done"


def write_etc() -> str:
    return _write("/etc/open")


def write_usr() -> str:
    return _write("/usr/open")


def write_opt() -> str:
    return _write("/opt/aiostream-server/open")


def write_state() -> str:
    """The mode of what is written."""
    path = _STATE / "probe"
    path.write_text("x")
    mode = path.stat().st_mode & 0o777
    path.unlink()
    return f"{mode:o}"


def read_home() -> str:
    return Path("/home/alice/letter").read_text().strip()


def see_tmp() -> str:
    return Path("/tmp/of-others").read_text().strip()


def _run_from(folder: Path) -> str:
    program = shutil.copy("/usr/bin/true", folder / "program")
    try:
        subprocess.run([program], check=True)
    finally:
        Path(program).unlink()
    return "done"


def run_from_state() -> str:
    return _run_from(_STATE)


def run_from_tmp() -> str:
    return _run_from(Path("/tmp"))


def run_from_var_tmp() -> str:
    return _run_from(Path("/var/tmp"))


def run_from_shm() -> str:
    return _run_from(Path("/dev/shm"))


def gain_privileges() -> str:
    """By a program that belongs to root and has the set-user-id bit."""
    user = _NOBODY if os.geteuid() == 0 else None
    ran = subprocess.run(["/usr/bin/id-of-root", "-u"], check=True, capture_output=True, text=True, user=user)
    return "root" if ran.stdout.strip() == "0" else "an ordinary user"


def capabilities() -> str:
    """All sets that are not empty."""
    sets = [line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Cap")]
    return " ".join(name for name, bits in sets if int(bits, 16)) or "none"


def users() -> str:
    """How many are not this process's own or root, in its user namespace."""
    return "all" if "4294967295" in Path("/proc/self/uid_map").read_text() else "few"


def memory_writable_and_executable() -> str:
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
        return "done"


def memory_made_executable() -> str:
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE) as memory:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        return _call("mprotect", ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_EXEC)


def trace_another_process() -> str:
    with subprocess.Popen(["/bin/sleep", "5"]) as other:
        attached = _call("ptrace", _PTRACE_ATTACH, other.pid, None, None)
        if attached == "done":
            os.waitpid(other.pid, os.WUNTRACED)
            _call("ptrace", _PTRACE_DETACH, other.pid, None, None)
        other.kill()
    return attached


def raw_socket() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        return "done"


def netlink_socket() -> str:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
        return "done"


def packet_socket() -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0):
        return "done"


def device() -> str:
    return str(len(Path("/dev/box-zero").open("rb").read(4)))


def make_device() -> str:
    os.mknod(_STATE / "device", 0o600 | 0o020000, os.makedev(1, 5))
    Path(_STATE, "device").unlink()
    return "done"


def user_namespace() -> str:
    return _call("unshare", _CLONE_NEWUSER)


def mount_namespace() -> str:
    return _call("unshare", _CLONE_NEWNS)


def network_namespace() -> str:
    return _call("unshare", _CLONE_NEWNET)


def mount_something() -> str:
    _STATE.joinpath("mount").mkdir(exist_ok=True)
    mounted = _call("mount", b"none", bytes(_STATE / "mount"), b"tmpfs", 0, None)
    if mounted == "done":
        _call("umount2", bytes(_STATE / "mount"), 0)
    return mounted


def set_user_id_bit() -> str:
    path = _STATE / "tool"
    path.write_text("x")
    path.chmod(0o4755)
    return "done"


def other_personality() -> str:
    return _call("personality", 0x0008)  # PER_LINUX32


def host_name() -> str:
    name = socket.gethostname().encode()
    return _call("sethostname", name, len(name))


def clock() -> str:
    return _syscall(_SETTIMEOFDAY, None, None)  # which sets nothing, and needs the same permission


def kernel_log() -> str:
    return _call("klogctl", _SYSLOG_SIZE_BUFFER, None, 0)


def kernel_module() -> str:
    """Root gets further: to an image that is none."""
    return _syscall(_INIT_MODULE, b"none", 4, b"")


def kernel_tunable() -> str:
    with Path("/proc/sys/net/ipv4/ip_default_ttl").open("r+") as tunable:
        value = tunable.read()
        tunable.seek(0)
        tunable.write(value)
    return "done"


def kernel_figures() -> str:
    return "seen" if "MemTotal" in Path("/proc/meminfo").read_text() else "empty"


def control_groups() -> str:
    folder = next(Path("/sys/fs/cgroup").glob("*/system.slice")) / "probe"
    folder.mkdir()
    folder.rmdir()
    return "done"


def other_processes() -> str:
    return "seen" if Path("/proc/1/status").read_text() else "empty"


def call_of_the_privileged() -> str:
    os.chown(_STATE, os.geteuid(), -1)
    return "done"


def call_for_resources() -> str:
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    return "done"


def files() -> str:
    return str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def core_dump_bytes() -> str:
    return str(resource.getrlimit(resource.RLIMIT_CORE)[1])


def lock_a_file() -> str:
    """Allowed: SQLite needs it."""
    with Path(_STATE, "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    return "done"


def configuration() -> str:
    """What of private/ is to be seen."""
    return " ".join(sorted(path.name for path in Path("/etc/aiostream-server/private").iterdir()))


def keys_file() -> str:
    return str(json.loads(Path("/etc/aiostream-server/private/keys/keys.json").read_text())[0]["name"])


def credential_on_disk() -> str:
    return Path("/etc/aiostream-server/credentials/provider").read_text().strip()


def credential() -> str:
    return Path(os.environ["CREDENTIALS_DIRECTORY"], "secret_provider").read_text().strip()


def reach_other_network() -> str:
    """An address that is neither 127.0.0.1 nor any of the examples in egress.conf."""
    with socket.create_connection(("198.51.100.1", 9), timeout=2):
        return "done"


PROBES: Final = {
    name: probe for name, probe in globals().items() if callable(probe) and not name.startswith("_") and name.islower()
}


def _outcome(probe: Callable[[], str]) -> str:
    try:
        return probe()
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as exc:
        return errno.errorcode.get(exc.errno or 0, str(exc))
    except (LookupError, ValueError) as exc:
        return type(exc).__name__


def _in_a_child(probe: Callable[[], str]) -> str:
    """What one probe changes is nothing to the next."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, _outcome(probe).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        outcome = said.read().decode()
    os.waitpid(child, 0)
    return outcome or "killed"


if __name__ == "__main__":
    print(json.dumps({name: _in_a_child(probe) for name, probe in PROBES.items()}))
