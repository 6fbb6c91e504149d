"""The control group of this very process, for whoever must not miss a limit or a kill.

Sandboxes emulate /proc in part. Where no mount is told, what stands at the usual place is taken: a limit that is not
ours costs a little room, one that is not seen costs the pod.
"""

from exporter.host.cgroup import UNIFIED, Branch, locate
from exporter.host.files import Files

_USUAL = "sys/fs/cgroup"


def own(files: Files, controller: str) -> Branch | None:
    """The branch of that controller; None where there is no sign of one."""
    if found := locate(files, "self").get(controller):
        return found
    for directory, hierarchy in ((_USUAL, UNIFIED), (f"{_USUAL}/{controller}", controller)):
        if files.has(f"{directory}/cgroup.procs"):
            return Branch(files, (directory,), hierarchy == UNIFIED, "mount", hierarchy, "/")
    return None
