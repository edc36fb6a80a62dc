"""drm_atomic_state: the objects of one commit, each with the state it had and the state it shall have."""

from collections.abc import Mapping
from errno import ECANCELED
from itertools import islice
from typing import Protocol, TypeVar

import msgspec

from syncline.kms_model.file import File
from syncline.kms_model.kms.lock import AcquireContext, ModesetLock
from syncline.kms_model.kms.objects import (
    Connector,
    ConnectorState,
    Crtc,
    CrtcCommit,
    CrtcState,
    Framebuffer,
    Plane,
    PlaneState,
)
from syncline.kms_model.kms.point import OutPoint, UserPoint
from syncline.kms_model.task import Completion

Placed = TypeVar("Placed", Crtc, Plane, Connector)
State = TypeVar("State")


class Parked(Protocol):
    """A commit that waits for user fences, as others see it."""

    file: File
    state: "AtomicState"
    over: Completion

    def drop(self, errno: int) -> None:
        """It will not be shown."""
        ...


class AtomicState(msgspec.Struct, eq=False):
    """Naming an object takes its lock, copies its state and pulls in the CRTC it is on.

    Every method that takes locks may sleep and may raise Deadlock or Interrupted.
    """

    context: AcquireContext
    _connection_lock: ModesetLock
    allow_modeset: bool = False
    file: File | None = None
    """Whose commit it is, None for the kernel's own."""
    crtcs: dict[Crtc, CrtcState] = {}
    planes: dict[Plane, PlaneState] = {}
    connectors: dict[Connector, ConnectorState] = {}
    old_crtcs: dict[Crtc, CrtcState] = {}
    old_planes: dict[Plane, PlaneState] = {}
    old_connectors: dict[Connector, ConnectorState] = {}
    crtc_commits: dict[Crtc, CrtcCommit] = {}
    fake_commit: CrtcCommit | None = None
    """Tracks objects on no CRTC (crtc_or_fake_commit)."""
    out_pointers: dict[Crtc, int] = {}
    writeback_pointers: dict[Connector, int] = {}
    out_points: dict[Crtc, OutPoint] = {}
    override: bool = False

    def clear(self) -> None:
        """Forget everything, for a replay after back-off (drm_atomic_state_clear)."""
        for table in (
            self.crtcs, self.planes, self.connectors, self.old_crtcs, self.old_planes, self.old_connectors,
            self.crtc_commits, self.out_pointers, self.writeback_pointers, self.out_points,
        ):  # fmt: skip
            table.clear()
        self.fake_commit = None

    async def crtc(self, crtc: Crtc) -> CrtcState:
        state = self.crtcs.get(crtc)
        if state is None:
            await self.context.lock(crtc.lock)
            self.old_crtcs[crtc] = crtc.state
            state = self.crtcs[crtc] = crtc.state.successor()
            self.crtcs = _in_order(self.crtcs)
        return state

    async def plane(self, plane: Plane) -> PlaneState:
        state = self.planes.get(plane)
        if state is None:
            await self.context.lock(plane.lock)
            self.old_planes[plane] = plane.state
            state = self.planes[plane] = plane.state.successor()
            self.planes = _in_order(self.planes)
            if state.crtc is not None:
                await self.crtc(state.crtc)
        return state

    async def connector(self, connector: Connector) -> ConnectorState:
        state = self.connectors.get(connector)
        if state is None:
            await self.context.lock(self._connection_lock)
            self.old_connectors[connector] = connector.state
            state = self.connectors[connector] = connector.state.successor()
            self.connectors = _in_order(self.connectors)
            if state.crtc is not None:
                await self.crtc(state.crtc)
        return state

    async def set_plane_crtc(self, plane: Plane, crtc: Crtc | None) -> None:
        state = self.planes[plane]
        if state.crtc is crtc:
            return
        if state.crtc is not None:
            left = await self.crtc(state.crtc)
            left.planes -= {plane}
        state.crtc = crtc
        if crtc is not None:
            joined = await self.crtc(crtc)
            joined.planes |= {plane}

    async def set_connector_crtc(self, connector: Connector, crtc: Crtc | None) -> None:
        state = self.connectors[connector]
        if state.crtc is crtc:
            return
        if state.crtc is not None:
            left = await self.crtc(state.crtc)
            left.connectors -= {connector}
        state.crtc = crtc
        if crtc is not None:
            joined = await self.crtc(crtc)
            joined.connectors |= {connector}

    async def add_affected_planes(self, crtc: Crtc) -> None:
        """Every plane that is, or will be, on `crtc`."""
        for plane in sorted(self.old_crtcs[crtc].planes | self.crtcs[crtc].planes, key=lambda p: p.index):
            await self.plane(plane)

    async def add_affected_connectors(self, crtc: Crtc) -> None:
        await self.context.lock(self._connection_lock)
        members = self.old_crtcs[crtc].connectors | self.crtcs[crtc].connectors
        for connector in sorted(members, key=lambda c: c.index):
            await self.connector(connector)

    # -- user fences ---------------------------------------------------------------------------

    @property
    def user_points(self) -> tuple[UserPoint, ...]:
        """What it waits for in user space, plane by plane."""
        points: tuple[UserPoint, ...] = ()
        for plane in self.planes.values():
            points += plane.user_points
        return points

    @property
    def fb_ids(self) -> tuple[int, ...]:
        return tuple(plane.fb.id for plane in self.planes.values() if plane.fb is not None)

    def shows(self, fb: Framebuffer) -> bool:
        """Will `fb` be on a screen, or written to, once this is carried out?"""
        jobs = (connector.writeback for connector in self.connectors.values())
        return any(plane.fb is fb for plane in self.planes.values()) or any(
            job is not None and job.fb is fb for job in jobs
        )

    def replaces_parked(self, crtc: Crtc) -> bool:
        """Is a parked commit of `crtc` over with this one (UR8 OVERRIDE, UR14 disable)?"""
        return self.override or (self.old_crtcs[crtc].active and not self.crtcs[crtc].active)

    def drop_parked(self, parked: Mapping[Crtc, Parked]) -> None:
        """From now on nothing can go wrong: the parked commits that this one replaces are over."""
        for crtc in self.crtcs:
            if crtc in parked and self.replaces_parked(crtc):
                parked[crtc].drop(ECANCELED)

    async def adopt(self, parked: "AtomicState") -> None:
        """Repeat the changes of a parked commit, none of which is a modeset, on what is committed now."""
        for crtc, wanted_crtc in parked.crtcs.items():
            crtc_state = await self.crtc(crtc)
            crtc_state.vrr_enabled = wanted_crtc.vrr_enabled
            crtc_state.async_flip = wanted_crtc.async_flip
            crtc_state.event = wanted_crtc.event
        for plane, wanted in parked.planes.items():
            plane_state = await self.plane(plane)
            plane_state.fb = wanted.fb
            plane_state.source, plane_state.target = wanted.source, wanted.target
            plane_state.fence, plane_state.in_file = wanted.fence, wanted.in_file
            plane_state.user_points = wanted.user_points
            plane_state.damage, plane_state.damage_blob = wanted.damage, wanted.damage_blob
            await self.set_plane_crtc(plane, wanted.crtc)
        for connector, wanted_connector in parked.connectors.items():
            (await self.connector(connector)).writeback = wanted_connector.writeback


def _in_order(table: dict[Placed, State]) -> dict[Placed, State]:
    """Objects in the order that the hardware has them, whatever order the ioctl named them in. The last one is new."""
    if len(table) == 1:
        return table
    new, before = islice(reversed(table), 2)
    if before.index < new.index:
        return table
    return dict(sorted(table.items(), key=lambda item: item[0].index))
