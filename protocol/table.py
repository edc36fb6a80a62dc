"""The object table: which numbers are in use, who may give which, and when one may be given again.

A client gives 1 to 0xFEFFFFFF, a server the rest. Whoever gives takes the id freed last, else the next
above all given so far; the other side refuses anything but a free id no higher than that next one, as
libwayland's map does. A server's id is free as soon as its object ends. A client's is free again when
`delete_id` says so: until then it is a zombie, and what the server still sends it is swallowed.
"""

from typing import Final

from syncline.protocol.errors import DISPLAY_ID
from syncline.protocol.object import Object
from syncline.protocol.wire import Malformed

SERVER_ID_START: Final = 0xFF000000


class Table:
    """`objects` are the living by id, `zombies` (a client's only) the interfaces of what has ended there."""

    def __init__(self, *, is_server: bool) -> None:
        self.objects: dict[int, Object] = {}
        self.zombies: dict[int, str] = {}
        self._is_server = is_server
        ours, theirs = (SERVER_ID_START, DISPLAY_ID) if is_server else (DISPLAY_ID, SERVER_ID_START)
        self._freed: list[int] = []
        self._next_ours = ours
        self._first_theirs = theirs
        self._next_theirs = theirs

    def give(self) -> int:
        """An id of our side."""
        if self._freed:
            return self._freed.pop()
        self._next_ours += 1
        return self._next_ours - 1

    def claim(self, id: int) -> None:
        """The other side gave this id. Raises Malformed if it may not."""
        if id in self.objects:
            raise Malformed(f"new id {id} is taken")
        if not self._first_theirs <= id <= self._next_theirs:
            raise Malformed(f"new id {id} where {self._next_theirs} is the next")
        if id == self._next_theirs:
            self._next_theirs += 1

    def end(self, id: int, interface: str) -> None:
        """An object has ended on our side, or was never made of an id that we were given."""
        self.objects.pop(id, None)
        if not self._is_server:
            self.zombies[id] = interface
        elif id >= SERVER_ID_START:
            self._freed.append(id)

    def release(self, id: int) -> None:
        """A server's `delete_id`. Raises Malformed if no object of ours that ended has that id."""
        if id >= SERVER_ID_START or self.zombies.pop(id, None) is None:
            raise Malformed(f"delete_id of {id}, which is no object of ours")
        self._freed.append(id)
