"""A real DRM node: the same `DeviceFile` as a modelled one, for what needs no display.

Syncobjs, sync_files and dma-bufs, not KMS. A render node makes no dumb buffers, so there they come from
/dev/udmabuf; fences to signal by hand are sw_sync's (debugfs) or vgem's.
"""

from syncline.kms_model.linux.file import (
    LinuxFile as LinuxFile,
    has_timelines as has_timelines,
    render_nodes as render_nodes,
    vgem_node as vgem_node,
)
