"""A fence round every Python process that has this folder on its path: it logs, and refuses, a net.

An audit hook sees each connection, message, look-up of a name and file opened for writing, whoever
asks for it. Those of the network that leave this machine are written into FENCE_LOG and refused;
files opened for writing are written into it. Only with FENCE_LOG set is there a fence.
"""

from __future__ import annotations

import os
import sys

ASKING = {  # event -> which of its arguments is the address or the name
    **{"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.bind": 1},
    **{"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0},
    "socket.getnameinfo": 0,
}
MAKING = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "sqlite3.connect": 0}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def is_here(host: object) -> bool:
    """Say whether a host is this machine; no host, or a socket that is a file, is."""
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    return name in {"localhost", "::1"} or name.startswith(("127.", "/"))


def watch(event: str, given: tuple[object, ...]) -> None:
    if event in ASKING:
        asked = given[ASKING[event]]
        if not is_here(asked[0] if isinstance(asked, tuple) else asked):
            write("net", f"{event} {asked}")
            raise PermissionError(f"the fence: {event} {asked}")
    elif event == "open" and int(str(given[2] or 0)) & WRITING and not isinstance(given[0], int):
        write("file", given[0])
    elif event in MAKING:
        write("file", given[MAKING[event]])


def write(kind: str, what: object) -> None:
    text = os.fsdecode(what) if isinstance(what, (str, bytes, os.PathLike)) else str(what)
    place = os.path.abspath(text) if kind == "file" else text  # noqa: PTH100 - pathlib would import
    os.write(LOG, f"{kind}\t{place}\t{' '.join(sys.argv[:3])}\n".encode(errors="replace"))


if "FENCE_LOG" in os.environ:
    LOG = os.open(os.environ["FENCE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sys.addaudithook(watch)
