"""A `serein` for the shell that need not import everything each time: one process has, and forks.

python warm_serein.py wait SOCKET           imports, and answers at the socket until it is ended
python warm_serein.py ask SOCKET ARGUMENTS  what `serein ARGUMENTS` does, status included
"""

import os
import signal
import socket
import sys


def wait(place: str) -> None:
    """Answer each who asks in a process of its own."""

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        while True:
            asker, _ = server.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                server.close()
                answer(asker)
            asker.close()


def answer(asker: socket.socket) -> None:
    """Run the command line in the asker's folder, on the asker's input and output."""
    from serein.cli import main

    message, streams, _, _ = socket.recv_fds(asker, 1 << 16, 3)
    folder, *arguments = message.decode().split("\0")
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))  # noqa: SIM115
    os.chdir(folder)
    sys.argv = ["serein", *arguments]
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    asker.send(bytes([status]))
    os._exit(status)


def ask(place: str, arguments: list[str]) -> int:
    """Have the command line run there; 70 if it ended without an answer."""
    message = "\0".join([os.getcwd(), *arguments]).encode()  # noqa: PTH109  # pathlib is slow to import
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(place)
        socket.send_fds(there, [message], [0, 1, 2])
        status = there.recv(1)
    return status[0] if status else 70


if __name__ == "__main__":
    if sys.argv[1] == "wait":
        wait(sys.argv[2])
    sys.exit(ask(sys.argv[2], sys.argv[3:]))
