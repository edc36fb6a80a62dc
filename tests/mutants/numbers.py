"""Numbers of objects that are kept, doubled or taken as they come."""

from typing import Any

from mutants.mutant import Broken, breaks
from syncline.protocol import arguments
from syncline.protocol.connection import Connection, Role
from syncline.protocol.object import Object
from syncline.protocol.schema import Argument
from syncline.protocol.table import Table
from syncline.protocol.wire import Body, Malformed


def _is_compositor(connection: Connection) -> bool:
    return connection.role is Role.SERVER


@breaks("ID1", at=(Connection, "retire"), killed_by="IDS-01")
def keeps_the_numbers_of_regions(retire: Broken, self: Connection, obj: Object) -> None:
    """A region's number is never given back."""
    if not _is_compositor(self) or obj.interface != "wl_region":
        retire(self, obj)
        return
    obj.alive = False
    self._table.end(obj.id, obj.interface)


@breaks("ID1", at=(Table, "claim"), killed_by="IDS-01")
def takes_no_number_twice(claim: Broken, self: Table, id: int) -> None:
    """A number that was given back must not be used again."""
    if self._is_server and id < self._next_theirs:
        raise Malformed(f"new id {id} again")
    claim(self, id)


@breaks("ID2", at=(Table, "claim"), killed_by="IDS-02")
def lets_numbers_be_taken_over(claim: Broken, self: Table, id: int) -> None:
    """A new object takes the number of a living one."""
    if id not in self.objects:
        claim(self, id)


@breaks("ID3", at=(Table, "claim"), killed_by="IDS-03")
def takes_numbers_as_they_come(claim: Broken, self: Table, id: int) -> None:
    """A new object may have any number that is free."""
    if id in self.objects:
        claim(self, id)


@breaks("ID4", at=(Connection, "_swallow"), killed_by="IDS-04")
def listens_to_nobody(swallow: Broken, self: Connection, object_id: int, opcode: int, body: Body) -> None:
    """A request to an object that is not there is passed over."""
    if not _is_compositor(self):
        swallow(self, object_id, opcode, body)


@breaks("ID4", at=(arguments, "_found"), killed_by="IDS-05")
def takes_strangers_for_null(found: Broken, id: object, argument: Argument, table: Table) -> Any:
    """An argument that names nobody, or an object of another kind, is as good as null."""
    try:
        return found(id, argument, table)
    except Malformed:
        return None
