"""Becomes the command: run as a script by an interpreter that loads nothing else, so that no thread of ours is forked.

`launch.py DEATH_SIGNAL PARENT DESCRIPTORS COMMAND…`. The command gets the signals and limits that we were given, not
those that we changed. It knows nothing of the package, which cannot be imported here.
"""

import errno
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells have it


def main(arguments: list[str]) -> int:
    """Does not return unless the command cannot be run."""
    death, parent, descriptors = map(int, arguments[:3])
    command = arguments[3:]
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # an interpreter ignores them, and that is inherited
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, most))
    if death:
        _die_with(parent, death)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"modeltap: {command[0]}: {error.strerror}; expected a command that can be run\n")
        return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE


def _die_with(parent: int, death: int) -> None:
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death)
    if os.getppid() != parent:  # it died before we could ask for the signal
        os.kill(os.getpid(), death)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
