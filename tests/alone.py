"""Run a command on a computer without a network, and write down whom it asked for.

``python alone.py RECORD COMMAND...``, run by `alone` inside new user, network and mount namespaces
(Linux): the only interface is loopback, the only name server is the one in here, which notes every
question and knows no answer.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

NAMESPACES = ["unshare", "--map-root-user", "--net", "--mount"]
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
NXDOMAIN = 3


def alone(command: list[str], record: Path, **how: object) -> subprocess.CompletedProcess[str]:
    """Run ``command`` with no network; ``record`` holds a line for each name that was asked for."""
    inside = [*NAMESPACES, sys.executable, __file__, str(record), *command]
    return subprocess.run(inside, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload,no-any-return]


def possible() -> bool:
    """Whether this computer lets us make namespaces (containers and other systems may not)."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    trial = subprocess.run([*NAMESPACES, "mount", "--bind", "/etc", "/etc"], capture_output=True)
    return trial.returncode == 0


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        flags = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0))
        up = struct.unpack("16sh", flags)[1] | IFF_UP
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh", b"lo", up))


def _only_our_name_server(record: Path) -> None:
    settings = record.with_name("resolv.conf")
    settings.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(settings), "/etc/resolv.conf"], check=True)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    threading.Thread(target=_answer, args=(sock, record), daemon=True).start()


def _answer(sock: socket.socket, record: Path) -> None:
    while True:
        question, sender = sock.recvfrom(4096)
        with record.open("a") as lines:
            lines.write(_name(question) + "\n")
        reply = question[:2] + struct.pack(">H", 0x8180 | NXDOMAIN) + question[4:6] + bytes(6)
        sock.sendto(reply + question[12:], sender)


def _name(question: bytes) -> str:
    labels, at = [], 12
    while at < len(question) and question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace"))
        at += 1 + question[at]
    return ".".join(labels)


if __name__ == "__main__":
    written = Path(sys.argv[1])
    written.touch()
    _loopback_up()
    _only_our_name_server(written)
    sys.exit(subprocess.run(sys.argv[2:], check=False).returncode)
