"""drm_atomic_state: the objects of one commit, each with the state it had and the state it shall have."""

from syncline.kms_model.kms.lock import AcquireContext, ModesetLock
from syncline.kms_model.kms.objects import (
    Connector,
    ConnectorState,
    Crtc,
    CrtcCommit,
    CrtcState,
    Plane,
    PlaneState,
)


class AtomicState:
    """Naming an object takes its lock, copies its state and pulls in the CRTC it is on.

    Every method that takes locks may sleep and may raise Deadlock or Interrupted.
    """

    def __init__(
        self, context: AcquireContext, connection_lock: ModesetLock, *, allow_modeset: bool = False
    ) -> None:
        self.context = context
        self.allow_modeset = allow_modeset
        self._connection_lock = connection_lock
        self.crtcs: dict[Crtc, CrtcState] = {}
        self.planes: dict[Plane, PlaneState] = {}
        self.connectors: dict[Connector, ConnectorState] = {}
        self.old_crtcs: dict[Crtc, CrtcState] = {}
        self.old_planes: dict[Plane, PlaneState] = {}
        self.old_connectors: dict[Connector, ConnectorState] = {}
        self.crtc_commits: dict[Crtc, CrtcCommit] = {}
        self.fake_commit: CrtcCommit | None = None
        """Tracks objects on no CRTC (crtc_or_fake_commit)."""
        self.out_pointers: dict[Crtc, int] = {}
        self.writeback_pointers: dict[Connector, int] = {}

    def clear(self) -> None:
        """Forget everything, for a replay after back-off (drm_atomic_state_clear)."""
        for table in (
            self.crtcs, self.planes, self.connectors, self.old_crtcs, self.old_planes, self.old_connectors,
            self.crtc_commits, self.out_pointers, self.writeback_pointers,
        ):  # fmt: skip
            table.clear()
        self.fake_commit = None

    async def crtc(self, crtc: Crtc) -> CrtcState:
        state = self.crtcs.get(crtc)
        if state is None:
            await self.context.lock(crtc.lock)
            self.old_crtcs[crtc] = crtc.state
            state = self.crtcs[crtc] = crtc.state.successor()
            self.crtcs = dict(sorted(self.crtcs.items(), key=lambda item: item[0].index))
        return state

    async def plane(self, plane: Plane) -> PlaneState:
        state = self.planes.get(plane)
        if state is None:
            await self.context.lock(plane.lock)
            self.old_planes[plane] = plane.state
            state = self.planes[plane] = plane.state.successor()
            self.planes = dict(sorted(self.planes.items(), key=lambda item: item[0].index))
            if state.crtc is not None:
                await self.crtc(state.crtc)
        return state

    async def connector(self, connector: Connector) -> ConnectorState:
        state = self.connectors.get(connector)
        if state is None:
            await self.context.lock(self._connection_lock)
            self.old_connectors[connector] = connector.state
            state = self.connectors[connector] = connector.state.successor()
            self.connectors = dict(sorted(self.connectors.items(), key=lambda item: item[0].index))
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
