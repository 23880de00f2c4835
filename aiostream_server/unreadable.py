"""Why a file cannot be read, for the administrator."""

import errno
import os


def why_unreadable(error: OSError) -> str:
    """The reason, in lower case. It names the user who is denied: the service's is not the administrator."""
    reason = (error.strerror or "unreadable").lower()
    return f"{reason} for {_user()}" if error.errno == errno.EACCES else reason


def _user() -> str:
    import pwd  # not on Windows, where clients run

    try:
        return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:  # systemd's dynamic users, where the C library does not know them
        return f"the user number {os.geteuid()}"
