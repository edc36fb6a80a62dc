"""What the other process of a subtest does: `child.py SOCKET LIFE DESCRIPTOR`."""

import os
import socket
import sys
from pathlib import Path

from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import DeviceFile, Fd, SwSyncInc


def step_inherited(file: DeviceFile, fd: int) -> None:
    """Move the timeline that came with the fork."""
    file.call(SwSyncInc(Fd(fd), 1))


def step_received(file: DeviceFile, fd: int) -> None:
    """Move the timeline that comes through the socket `fd`."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        _, (timeline,), _, _ = socket.recv_fds(sock, 100, 1)
    file.call(SwSyncInc(Fd(timeline), 1))
    os.close(timeline)


if __name__ == "__main__":
    path, life, descriptor = sys.argv[1:]
    opened = RemoteFile(Path(path))
    {"step_inherited": step_inherited, "step_received": step_received}[life](opened, int(descriptor))
    opened.close()
