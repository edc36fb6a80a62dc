"""A client made of nothing but pyzmq, msgpack and docs/messages.md: one explicit-sync frame, start to end.

    python foreign_zmq_client.py ENDPOINT DEVICE

Prints what happened as one JSON object; exit 0 when the frame was presented and its release point came.
"""

import array
import json
import mmap
import os
import socket
import sys
import time

import msgpack
import zmq

SIZE = 64
XRGB8888 = 0x34325258
PATIENCE_S = 10
TOKEN = 1


class Node:
    """The device node: SEQPACKET, one MessagePack array per packet."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(path)
        self.serial = 0
        self.sock.send(msgpack.packb([0, 1, "card"]))
        assert msgpack.unpackb(self.sock.recv(1 << 18))[0] == 0

    def call(self, *request, lent=()):
        """The reply without its name, descriptors as numbers of this process; or the errno."""
        self.serial += 1
        packet = msgpack.packb([1, self.serial, list(request), list(lent), 0])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", lent))] if lent else []
        self.sock.sendmsg([packet], rights)
        while True:
            data, ancillary, _, _ = self.sock.recvmsg(1 << 18, socket.CMSG_SPACE(64 * 4))
            kind, serial, *rest = msgpack.unpackb(data)
            if kind in {1, 2} and serial == self.serial:
                break
        if kind == 2:
            return rest[0]
        reply, given = rest
        came = array.array("i")
        for _, _, rights in ancillary:
            came.frombytes(rights)
        mine = dict(zip(given, came, strict=True))
        return [mine.get(field, field) if given else field for field in (reply or [None])[1:]]


class Compositor:
    """A DEALER socket, and the objects of ours by name."""

    def __init__(self, endpoint, node):
        self.node = node
        self.dealer = zmq.Context().socket(zmq.DEALER)
        self.dealer.rcvtimeo = PATIENCE_S * 1000
        self.dealer.connect(endpoint)
        (own,) = node.call("TokenAddress")
        self.dealer.send(msgpack.packb(["syncline", 1, own]))
        name, version, self.address = msgpack.unpackb(self.dealer.recv())
        assert (name, version) == ("syncline", 1)
        self.heard = []

    def token(self, fd):
        (token,) = self.node.call("TokenExport", fd, self.address, lent=[fd])
        os.close(fd)
        return msgpack.ExtType(TOKEN, token)

    def say(self, *messages):
        self.dealer.send(b"".join(msgpack.packb(list(each)) for each in messages))

    def wait(self, object_id, opcode):
        """The arguments of that event, which may have come already."""
        while True:
            for event in self.heard:
                if event[:2] == [1, 0]:
                    raise SystemExit(f"wl_display.error{event[2:]}")
                if event[:2] == [object_id, opcode]:
                    self.heard.remove(event)
                    return event[2:]
            unpacker = msgpack.Unpacker()
            unpacker.feed(self.dealer.recv())
            self.heard += unpacker


def paint(fd, size):
    with mmap.mmap(fd, size) as pixels:
        pixels[:] = (0xFF336699).to_bytes(4, "little") * (size // 4)


def main(endpoint, device):
    node = Node(device)
    node.call("DropMaster")
    compositor = Compositor(endpoint, node)
    say, wait = compositor.say, compositor.wait

    say([1, 1, 2], [1, 0, 3])
    wait(3, 0)
    offers = {event[3]: event[2] for event in compositor.heard if event[:2] == [2, 0]}
    wait(1, 1)
    wanted = [
        ("wl_compositor", 4),
        ("xdg_wm_base", 2),
        ("zwp_linux_dmabuf_v1", 3),
        ("wp_linux_drm_syncobj_manager_v1", 1),
        ("wp_presentation", 1),
    ]
    say(*[[2, 0, offers[name], [name, version, id]] for id, (name, version) in enumerate(wanted, 3)])
    surface, xdg, toplevel, params, buffer, acquire, release, sync, feedback = range(8, 17)

    say([3, 0, surface], [4, 2, xdg, surface], [xdg, 1, toplevel], [surface, 6])
    (serial,) = wait(xdg, 0)

    image, pitch, size = node.call("CreateDumb", SIZE, SIZE, 32)
    (pixels,) = node.call("PrimeHandleToFd", image, 0)
    paint(pixels, size)
    say(
        [5, 1, params],
        [params, 1, compositor.token(pixels), 0, 0, pitch, 0],
        [params, 3, buffer, SIZE, SIZE, XRGB8888, 0],
        [params, 0],
    )
    timelines = []
    for id in (acquire, release):
        (handle,) = node.call("SyncobjCreate", 0)
        (fd,) = node.call("SyncobjHandleToFd", handle, 0, 0, None)
        say([6, 2, id, compositor.token(fd)])
        timelines.append(handle)
    say([6, 1, sync, surface])

    say(
        [xdg, 4, serial],
        [surface, 1, buffer, 0, 0],
        [surface, 9, 0, 0, SIZE, SIZE],
        [sync, 1, acquire, 1],
        [sync, 2, release, 1],
        [7, 1, surface, feedback],
        [surface, 6],
    )
    node.call("SyncobjTimelineSignal", [timelines[0]], [1], 0, None)
    seconds, ns, refresh_ns, sequence, flags = wait(feedback, 1)

    say([surface, 1, 0, 0, 0], [surface, 6])
    until_ns = time.monotonic_ns() + PATIENCE_S * 1_000_000_000
    released = node.call("SyncobjTimelineWait", [timelines[1]], [1], until_ns, 2, 0, None, 0)
    compositor.dealer.send(msgpack.packb(["bye"]))
    compositor.dealer.close(linger=1000)
    print(
        json.dumps(
            {
                "presented_ns": seconds * 1_000_000_000 + ns,
                "refresh_ns": refresh_ns,
                "sequence": sequence,
                "flags": flags,
                "released": isinstance(released, list),
            }
        )
    )
    return 0 if isinstance(released, list) else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
