"""Races on buffers (K21) and needless waits (K22): every access is compared with those it does not come after.

It needs nothing of the other rules and costs a fraction of them, so it can also watch alone.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import count

from syncline.kms_model.accesses import (
    Access as Told,
    Carrier,
    Flip,
    Noted,
    NotedFence,
    NotedResv,
    Reservation,
    Submission,
)
from syncline.kms_model.checker.access import Access, Buffer, Buffers
from syncline.kms_model.checker.carriers import Carriers, Moments
from syncline.kms_model.checker.ledger import Ledger
from syncline.kms_model.checker.moment import Cause, Moment, Thread, Threads, fold
from syncline.kms_model.checker.oversync import Hold, needless
from syncline.kms_model.checker.race_report import race, signature
from syncline.kms_model.checker.work import Held, Process, Screen, Work, Writer
from syncline.kms_model.fences.sync_file import SyncFile
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import AwaitedPoint


class Races:
    """Watches the buffers of `kernel` from now on: one for its life, because its notes are on everything."""

    def __init__(self, kernel: Kernel, ledger: Ledger) -> None:
        assert kernel.accesses is None, "another one has left its notes"
        self.ledger = ledger
        self._kernel = kernel
        self._threads = Threads()
        self._buffers = Buffers()
        self._carriers = Carriers(self._buffers)
        self._files = count(1)
        kernel.accesses = self

    # -- what a file does, and learns -----------------------------------------------------------

    def signalled(self, file: Noted, points: Iterable[AwaitedPoint], call: str) -> None:
        moment = self._at_work(file).step(call, self._kernel.now_ns)
        for point in points:
            self._carriers.put(point, (moment,))

    def fence_made(self, fence: NotedFence, to: Reservation | None) -> None:
        thread = Thread(self._threads, "fence", f"{fence.driver} {fence.context}:{fence.seqno}")
        moment = thread.step("signalled", self._kernel.now_ns)
        fence.note = moment
        if to is not None:
            self._carriers.put(to, (moment,))

    def fence_signalled(self, file: Noted, fences: Iterable[NotedFence], call: str) -> None:
        moment = self._at_work(file).step(call, self._kernel.now_ns)
        for fence in fences:
            if isinstance(fence.note, Moment):
                fence.note.learn(Cause("signalled by", moment))

    def learned(self, file: Noted, carriers: Iterable[Carrier], call: str) -> None:
        process = self._at_work(file)
        for carrier in carriers:
            process.learn(self._behind(carrier, process), call)

    def listener(self, file: Noted, point: AwaitedPoint) -> Callable[[], None]:
        process = self._at_work(file)

        def hear() -> None:
            process.learn(self._carriers.behind(point), "an eventfd rang")

        return hear

    def given(self, file: Noted, fd: int, sources: Sequence[Carrier]) -> None:
        process = self._at_work(file)
        sync_file = self._kernel.descriptors.find(fd, SyncFile)
        assert sync_file is not None, "it was made just now"
        if sources:
            moments: Moments = ()
            for source in sources:
                moments = fold(moments, self._behind(source, process))
            sync_file.note = moments
        process.holds.append(Held(sync_file))

    def handed_on(
        self, file: Noted | None, to: AwaitedPoint | Reservation, sources: Sequence[Carrier]
    ) -> None:
        moments = self._carriers.behind_all(sources)
        if file is not None and isinstance(to, AwaitedPoint):
            # Nobody can wait for that point before this call.
            asker = self._at_work(file).step("hands a fence on", self._kernel.now_ns, buffers=frozenset())
            moments = fold(moments, (asker,))
        self._carriers.put(to, moments)

    def written_outside(self, slot: object, value: int, signallers: Iterable[object]) -> None:
        for each in signallers:
            process = getattr(each, "note", None)
            if isinstance(process, Process):
                moment = process.step("wrote the memory of a user fence", self._kernel.now_ns)
                self._carriers.put(AwaitedPoint(slot, value, is_user=True), (moment,))

    # -- the CPU --------------------------------------------------------------------------------

    def cpu_begins(self, file: Noted, access: Told) -> None:
        process, buffer = self._at_work(file), self._buffers.of(access.resv)
        buffer.users[process] = None
        begin = process.step("CPU access to a dma-buf", self._kernel.now_ns)
        if buffer.open_of(process, writes=access.writes) is None:
            self._enter(buffer, Access(begin, self._kernel.now_ns, writes=access.writes))

    def cpu_ends(self, file: Noted, access: Told) -> None:
        process, buffer = self._at_work(file), self._buffers.of(access.resv)
        opened = buffer.open_of(process, writes=access.writes)
        end = process.step("CPU access ended", self._kernel.now_ns)
        if opened is not None:
            opened.end_tick, opened.ended_ns = end.tick, self._kernel.now_ns

    # -- the GPU --------------------------------------------------------------------------------

    def submitted(self, file: Noted, job: Submission) -> None:
        process, now_ns = self._at_work(file), self._kernel.now_ns
        accesses = [(self._buffers.of(resv), writes) for resv, writes in job.accesses]
        for buffer, _ in accesses:
            buffer.users[process] = None
        queue = job.queue.note
        if not isinstance(queue, Thread):
            queue = job.queue.note = Thread(self._threads, "job", process.name)
        name = f"job {job.finished.context}:{job.finished.seqno}" + (job.label and f" ({job.label})")
        queue.learn((process.step(f"submits {name}", now_ns),), "submitted by")
        before = queue.newest
        touched = frozenset(buffer.number for buffer, _ in accesses)
        moment = queue.promise(name, now_ns, buffers=touched)
        holds = [Hold(wait, self._behind(wait.carrier, process)) for wait in job.waits]
        job.job.note = Work(moment, before, holds, accesses)
        job.finished.note = moment
        for point in job.outs:
            self._carriers.put(point, (moment,))
        if job.implicit:
            for access in job.accesses:
                usage = 1 if access.writes else 2
                self._buffers.of(access.resv).publish(usage, (moment,))

    def job_begins(self, job: Noted) -> None:
        work = job.note
        if isinstance(work, Work):
            self._begin(work)
            for buffer, writes in work.accesses:
                access = Access(work.moment, self._kernel.now_ns, writes=writes, end_tick=work.moment.tick)
                work.entered.append(access)
                self._enter(buffer, access)

    def job_ends(self, job: Noted) -> None:
        work = job.note
        if isinstance(work, Work):
            if not work.is_under_way:
                self._complete(work)
            for access in work.entered:
                access.ended_ns = self._kernel.now_ns
            work.moment.came_ns = self._kernel.now_ns
            job.note = None

    # -- the display ----------------------------------------------------------------------------

    def committed(self, file: Noted | None, flip: Flip) -> None:
        now_ns = self._kernel.now_ns
        process = None if file is None else self._at_work(file)
        screen = flip.crtc.note
        if not isinstance(screen, Screen):
            screen = flip.crtc.note = Screen(self._threads, f"CRTC {flip.crtc_id}")
        if process is not None:
            screen.learn((process.step("commits a flip", now_ns),), "committed by")
        shows = [self._buffers.of(resv) for resv in flip.shows]
        if process is not None:
            for buffer in shows:
                buffer.users[process] = None
        before = screen.newest
        touched = frozenset(buffer.number for buffer in (*shows, *screen.showing))
        moment = screen.promise(f"flip {screen.tick + 1}", now_ns, buffers=touched)
        holds = [Hold(wait, self._behind(wait.carrier, process)) for wait in flip.waits]
        flip.commit.note = Work(moment, before, holds, [(buffer, False) for buffer in shows])
        for fence in flip.outs:
            fence.note = moment
        for point in flip.user_outs:
            self._carriers.put(point, (moment,))

    def shown(self, commit: Noted, resvs: Sequence[NotedResv]) -> None:
        work = commit.note
        if not isinstance(work, Work):
            return
        screen = work.moment.thread
        assert isinstance(screen, Screen), "only commits have flips"
        if not work.is_under_way:
            self._begin(work)
        now_ns = work.moment.came_ns = self._kernel.now_ns
        showing = dict.fromkeys(self._buffers.of(resv) for resv in resvs)
        for buffer, access in tuple(screen.showing.items()):
            if buffer not in showing:
                access.end_tick, access.ended_ns = work.moment.tick, now_ns
                del screen.showing[buffer]
        for buffer in showing:
            if buffer not in screen.showing:
                screen.showing[buffer] = Access(work.moment, now_ns, writes=False)
                self._enter(buffer, screen.showing[buffer])

    def flip_told(self, file: Noted | None, commit: Noted) -> None:
        if isinstance(commit.note, Work):
            moment = commit.note.moment
            moment.came_ns = self._kernel.now_ns
            if file is not None:
                self._at_work(file).learn((moment,), "told of the flip")

    def will_write_back(self, connector: Noted, resv: NotedResv, fence: NotedFence | None) -> None:
        writer = connector.note
        if not isinstance(writer, Writer):
            writer = connector.note = Writer(self._threads, "writeback", "the display")
        touched = frozenset((self._buffers.of(resv).number,))
        moment = writer.promise("writeback", self._kernel.now_ns, buffers=touched)
        writer.due.append(moment)
        if fence is not None:
            fence.note = moment

    def written_back(self, connector: Noted, commit: Noted, resv: NotedResv) -> None:
        writer, work = connector.note, commit.note
        if not isinstance(writer, Writer) or not isinstance(work, Work) or not writer.due:
            return
        moment = writer.due.popleft()
        moment.learn(Cause("its frame is on the screen", work.moment))
        access = Access(moment, self._kernel.now_ns, writes=True, end_tick=moment.tick)
        access.ended_ns = moment.came_ns = self._kernel.now_ns
        self._enter(self._buffers.of(resv), access)

    # -- the rules ------------------------------------------------------------------------------

    def _begin(self, work: Work) -> None:
        self._complete(work)
        work.is_under_way = True
        before_ns = 0 if work.before is None else work.before.came_ns or 0
        since_ns = max(work.since_ns, before_ns)
        if any(hold.was_pending for hold in work.holds):
            for report in needless(work.moment, work.holds, work.accesses, since_ns, self._kernel.now_ns):
                self.ledger.enter(report)
        work.holds = []

    def _complete(self, work: Work) -> None:
        """It happens now, after everything that it waited for: what it knows is known."""
        moment = work.moment
        moment.follow(work.before)
        for hold in work.holds:
            if isinstance(hold.wait.carrier, AwaitedPoint) and hold.wait.carrier.is_user:
                hold.moments = self._carriers.behind(hold.wait.carrier)
            for each in hold.moments:
                moment.learn(Cause(hold.why, each))

    def _enter(self, buffer: Buffer, access: Access) -> None:
        for old in buffer.enter(access):
            name = signature(old, access)
            if name in self.ledger.reports:
                self.ledger.enter(self.ledger.reports[name])
            else:
                self.ledger.enter(race(buffer, old, access, now_ns=self._kernel.now_ns))

    # -- who, and after what --------------------------------------------------------------------

    def _at_work(self, file: Noted) -> Process:
        """The file's thread, which has looked at its sync_files by now."""
        process = file.note
        if not isinstance(process, Process):
            label: str = getattr(file, "label", "")
            process = file.note = Process(self._threads, label or f"file {next(self._files)}")
        if process.holds:
            process.poll()
        return process

    def _behind(self, carrier: Carrier, process: Process | None) -> Moments:
        """With what was told by messages, where those are relied on."""
        moments = self._carriers.behind(carrier)
        if not isinstance(carrier, Reservation):
            return moments
        told = tuple(
            user.present("tells the others in a message", self._kernel.now_ns)
            for user in tuple(self._buffers.of(carrier.resv).users)
            if user is not process
        )
        return fold(moments, told)
