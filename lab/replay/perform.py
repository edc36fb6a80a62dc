"""One operation to its result; one scenario to its run."""

from syncline.kms_model import uapi
from syncline.lab.replay import syncobj_ops
from syncline.lab.replay.operation import Op
from syncline.lab.replay.process import Process, Refusal, Unbound
from syncline.lab.replay.result import Result, errno_name
from syncline.lab.replay.threads import NS_PER_MS

SLEPT_NS = 60 * NS_PER_MS
SLEEPERS = (syncobj_ops.Wait, syncobj_ops.TimelineWait, syncobj_ops.Transfer)


async def perform(op: Op, process: Process) -> Result:
    """Skip and Fault pass through; what the kernel refuses becomes the result."""
    began_ns = process.now_ns
    result = Result(str(op.__struct_config__.tag), ok=True)
    try:
        result.out = await op.run(process) or {}
    except Refusal as refusal:
        result.ok, result.errno, result.out = False, errno_name(refusal.errno), refusal.out
    except (uapi.DeviceError, OSError) as error:
        result.ok, result.errno = False, errno_name(error.errno or 0)
    except Unbound as unbound:
        result.ok, result.errno = False, f"unbound: {unbound}"
    if isinstance(op, SLEEPERS):
        result.out["slept"] = process.now_ns - began_ns > SLEPT_NS
    return result
