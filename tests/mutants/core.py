"""Commits, callbacks and windows that core Wayland and xdg-shell do not know like this."""

from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core import commits, roles
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.compositor import Compositor
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.extent import check_size
from syncline.compositor.core.feedback import Feedback
from syncline.compositor.core.frame import Frame
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.release import Releases
from syncline.compositor.core.roles import Shell
from syncline.compositor.core.shell import Configuration, WindowState, XdgSurface
from syncline.compositor.core.state import UNATTACHED, PendingState
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.wayland import surface as wire_surface
from syncline.compositor.wayland.buffer import ShmBuffer, WlBuffer
from syncline.compositor.wayland.server import Server
from syncline.compositor.wayland.surface import WlSurface
from syncline.protocol.display import Callback
from syncline.protocol.enums import XdgSurface as XdgSurfaceEnums

FRAME_NS = 16_000_000


# Commits.


@breaks("C1", at=(Commits, "commit"), killed_by="VAL-12")
def ignores_empty_commits(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """A commit that attaches nothing to what is shown is none."""
    if surface.content is not None and surface.pending.attached is UNATTACHED:
        surface.pending = surface.pending.successor()
    else:
        commit(self, surface, now_ns)


@breaks("C9", at=(WlSurface, "commit"), killed_by="VAL-12")
def buffers_stick(commit: Broken, self: WlSurface) -> None:
    """The last buffer is pending again after its commit."""
    attached = self._attached
    commit(self)
    self._attached = attached


@breaks("C7", at=(Commits, "_check"), killed_by="COR-10")
def judges_with_the_old_buffer(check: Broken, self: Commits, surface: Surface, state: PendingState) -> Any:
    """A new scale is held against the buffer that is shown."""
    if surface.content is not None:
        check_size(state, surface.content.buffer)
    return check(self, surface, state)


@breaks("C8", at=(WlSurface, "attach"), killed_by="COR-04")
def releases_what_was_replaced(
    attach: Broken, self: WlSurface, buffer: WlBuffer | None, x: int, y: int
) -> None:
    """A buffer whose attach is replaced before the commit gets a release event."""
    if isinstance(self._attached, WlBuffer) and self._attached.alive:
        self._attached.send("release")
    attach(self, buffer, x, y)


@breaks("C10", at=(Commits, "_apply"), killed_by="VAL-11")
def keeps_content_over_null(apply: Broken, self: Commits, update: ContentUpdate, now_ns: int) -> None:
    """A NULL removes nothing."""
    if update.state.attached is None:
        update.state.attached = UNATTACHED
    apply(self, update, now_ns)


@breaks("C19", at=(WlSurface, "attach"), killed_by="COR-08")
def takes_offsets(attach: Broken, self: WlSurface, buffer: WlBuffer | None, x: int, y: int) -> None:
    """An offset in attach is taken at every version."""
    attach(self, buffer, 0, 0)
    self.surface.pending.offset = (x, y)


@breaks("C20", at=(commits, "check_size"), killed_by="COR-09")
def takes_any_size(_check: Broken, state: PendingState, buffer: Any) -> None:
    """A buffer need not divide by its scale."""


@breaks("C21", at=(Compositor, "destroy_surface"), killed_by="COR-11")
def lets_surfaces_go_before_their_roles(
    destroy: Broken, self: Compositor, surface: Surface, now_ns: int
) -> None:
    """A surface may be destroyed while its role object lives."""
    surface.has_role_object = False
    destroy(self, surface, now_ns)


# Callbacks.


@breaks("C14", at=(Callback, "done"), killed_by="COR-02")
def answers_with_numbers(done: Broken, self: Callback, data: int) -> None:
    """The data of every callback is off by seven."""
    done(self, data + 7)


@breaks("C14", at=(Callback, "done"), killed_by="COR-02")
def keeps_the_ids_of_callbacks(_done: Broken, self: Callback, data: int) -> None:
    """A callback that has been called lives on."""
    self.send("done", data)


@breaks("C14", at=(Releases, "_end"), killed_by="REL-22")
def loses_release_callbacks(end: Broken, self: Releases, loan: Loan) -> None:
    """get_release is never answered."""
    loan.callbacks = ()
    end(self, loan)


@breaks("C14", at=(WlSurface, "commit"), killed_by="COR-02 COR-03")
def loses_release_callbacks_of_copies(commit: Broken, self: WlSurface) -> None:
    """get_release is not answered for shared memory, which is copied."""
    if isinstance(self._attached, ShmBuffer):
        self.surface.pending.get_release = []
    commit(self)


@breaks("C15", at=(Commits, "_check"), killed_by="COR-01")
def releases_nothing(check: Broken, self: Commits, surface: Surface, state: PendingState) -> Any:
    """get_release without a buffer is taken."""
    if state.attached is UNATTACHED or state.attached is None:
        state.get_release.clear()
    return check(self, surface, state)


@breaks("C17", at=(Feedback, "latch"), killed_by="COR-05")
def answers_newest_first(latch: Broken, self: Feedback, surface: Surface, frame: Frame) -> None:
    """Frame callbacks come in the opposite order of their commits."""
    surface.frame_callbacks.reverse()
    latch(self, surface, frame)


@breaks("S100 C17", at=(Commits, "commit"), killed_by="COR-06")
def answers_at_commit(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """Frame callbacks come with the commit, not when it is applied."""
    callbacks, surface.pending.frame_callbacks = surface.pending.frame_callbacks, []
    self._stage.feedback.answer(callbacks, now_ns)
    commit(self, surface, now_ns)


@breaks("C18", at=(Feedback, "applied"), killed_by="COR-07")
def hurries_the_hidden(applied: Broken, self: Feedback, update: ContentUpdate, now_ns: int) -> None:
    """The frame callbacks of what nobody sees come as fast as those of what somebody sees."""
    applied(self, update, now_ns)
    if update.surface in self._overdue_ns:
        self._overdue_ns[update.surface] = now_ns + FRAME_NS


# Windows.


@breaks("X1", at=(Shell, "committed"), killed_by="VAL-33")
def configures_plain_windows_only(committed: Broken, self: Shell, update: ContentUpdate) -> None:
    """The first commit of a window with an explicit-sync object is not answered."""
    if not update.surface.explicit:
        committed(self, update)


@breaks("X2", at=(Shell, "ack_configure"), killed_by="ACQ-19")
def wants_acks_at_rest(ack: Broken, self: Shell, xdg: XdgSurface, serial: int) -> None:
    """Once a window is shown no configure may be acknowledged."""
    if xdg.surface.content is not None:
        raise Violation(XdgSurfaceEnums.Error.INVALID_SERIAL, "too late")
    ack(self, xdg, serial)


@breaks("X5 S61", at=(Server, "_receive"), killed_by="ACQ-11")
def is_deaf_to_the_waiting(receive: Broken, self: Server, line: Any, data: bytes, fds: Any) -> None:
    """A client is not heard while one of its updates waits."""
    if not any(surface.queue for surface in line.session.surfaces):
        receive(self, line, data, fds)


@breaks("X6", at=(Shell, "committed"), killed_by="LIF-06")
def stays_configured(committed: Broken, self: Shell, update: ContentUpdate) -> None:
    """A window that was unmapped goes on as it was."""
    if update.state.attached is not None:
        committed(self, update)


def _unsent(serial: int) -> Configuration:
    return Configuration(serial, WindowState.NORMAL)


@breaks("X3", at=(Shell, "ack_configure"), killed_by="XDG-01 XDG-02 XDG-03")
def takes_any_serial(ack: Broken, self: Shell, xdg: XdgSurface, serial: int) -> None:
    """Whatever serial is acknowledged, it is taken."""
    if all(each.serial != serial for each in xdg.sent):
        xdg.sent.append(_unsent(serial))
    ack(self, xdg, serial)


@breaks("X3", at=(Shell, "ack_configure"), killed_by="XDG-01")
def takes_serials_of_other_windows(ack: Broken, self: Shell, xdg: XdgSurface, serial: int) -> None:
    """What one window was sent any other may acknowledge."""
    if any(sent.serial == serial for each in self._xdg.values() if each is not xdg for sent in each.sent):
        xdg.sent.append(_unsent(serial))
    ack(self, xdg, serial)


@breaks("X3", at=(Shell, "ack_configure"), killed_by="XDG-02")
def takes_a_serial_twice(ack: Broken, self: Shell, xdg: XdgSurface, serial: int) -> None:
    """The serial that was acknowledged last may be acknowledged again."""
    ack(self, xdg, serial)
    xdg.sent.appendleft(_unsent(serial))


@breaks("X3", at=(Shell, "ack_configure"), killed_by="XDG-03")
def takes_older_serials(ack: Broken, self: Shell, xdg: XdgSurface, serial: int) -> None:
    """What was passed over may be acknowledged later."""
    older = [each for each in xdg.sent if each.serial < serial]
    ack(self, xdg, serial)
    xdg.sent.extendleft(reversed(older))


@breaks("X3 X2", at=(Shell, "ack_configure"), killed_by="XDG-04")
def wants_every_serial(ack: Broken, self: Shell, xdg: XdgSurface, serial: int) -> None:
    """No configure may be passed over."""
    if xdg.sent and xdg.sent[0].serial < serial:
        raise Violation(XdgSurfaceEnums.Error.INVALID_SERIAL, "not in turn")
    ack(self, xdg, serial)


@breaks("X1 X6", at=(roles, "_reset"), killed_by="XDG-05")
def remembers_serials_over_an_unmap(reset: Broken, xdg: XdgSurface) -> None:
    """A configure from before the unmap may still be acknowledged, and then there may be a buffer."""
    sent = list(xdg.sent)
    reset(xdg)
    xdg.sent.extend(sent)


# Damage.


@breaks("C16", at=(wire_surface, "damage_in_buffer"), killed_by="COR-12")
def takes_one_kind_of_damage(damage_in_buffer: Broken, pending: PendingState, width: int, height: int) -> Any:
    """Damage in the surface's coordinates is dropped when there is some in the buffer's."""
    if pending.buffer_damage:
        pending.surface_damage.clear()
    return damage_in_buffer(pending, width, height)


@breaks("C16", at=(wire_surface, "damage_in_buffer"), killed_by="COR-12")
def ignores_damage_that_goes_beyond(
    damage_in_buffer: Broken, pending: PendingState, width: int, height: int
) -> Any:
    """Damaged rectangles larger than the surface are dropped, not cut."""
    pending.surface_damage[:] = [rect for rect in pending.surface_damage if rect.width <= width]
    pending.buffer_damage[:] = [rect for rect in pending.buffer_damage if rect.width <= width]
    return damage_in_buffer(pending, width, height)
