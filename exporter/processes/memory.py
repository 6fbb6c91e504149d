"""Keeps the analysis below its memory bound: an OOM of the cgroup would take the model's only path with it.

A thread looks a few times a second and ends the process at the bound. Between two looks the kernel holds it: after each
one the process may map only what was still free, and a little more; what is over is refused at the allocation itself,
and MemoryError ends the process in the same way, for nobody knows what an allocation left half done.

The kernel counts address space, not pages in use. That is why the limit follows what is mapped instead of standing at
the bound: OpenBLAS maps 32 MiB that it seldom touches, and every stack of a thread is mapped whole.
"""

import asyncio
import ctypes
import logging
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from exporter.processes.blas import single_threaded
from exporter.processes.tree import MEMORY_EXIT

log = logging.getLogger("modeltap.analysis")
# A C library's own default is 8 MiB; gRPC starts seven threads at once, which must find room.
STACK_BYTES = 2 << 20
# What may be mapped over the bound between two looks: stacks, and pages that come and go.
SPARE_BYTES = 16 << 20
# The second one is what CPython 3.11 says where it has no memory for the next frame: "error return without exception
# set", one time in four with small objects. Nothing else that is ours to run raises it.
REFUSED = (MemoryError, SystemError)
_WHAT = "an allocation was refused at the memory bound"
_LOOK_SECONDS = 0.25
_ATTRIBUTES_BYTES = 256  # pthread_attr_t: 56 with glibc on x86-64, 64 on arm64
_PAGE = os.sysconf("SC_PAGE_SIZE")


def prepare() -> None:
    """What holds for the whole process, before it starts any thread."""
    _small_stacks()
    threading.excepthook = _thread_died


def keep_below(bound: int) -> None:
    """From now on this process ends when it holds so many bytes of resident memory; call in its event loop."""
    asyncio.get_running_loop().set_exception_handler(_loop_failed)
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        log.warning("the analysis does not know its memory: %s", error.strerror)
        return

    def watch() -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            _look(statm, bound)

    threading.Thread(target=watch, name="memory", daemon=True).start()
    _look(statm, bound)


def mappable(resident: int, mapped: int, bound: int) -> int:
    """Bytes of private, writable memory that may be mapped in all until the next look, `mapped` being it now."""
    return mapped + max(bound - resident, 0) + SPARE_BYTES


@contextmanager
def fatal() -> Iterator[None]:
    """A MemoryError in the block ends the process."""
    try:
        yield
    except REFUSED:
        over(_WHAT)


def over(what: str) -> NoReturn:
    """End now, and let the root know why."""
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))  # room to say it
        log.error("%s: the analysis starts anew", what)
    finally:
        os._exit(MEMORY_EXIT)


def _look(statm: int, bound: int) -> None:
    fields = os.pread(statm, 256, 0).split()
    resident, mapped = int(fields[1]) * _PAGE, int(fields[5]) * _PAGE
    if resident > bound:
        over(f"memory bound of {bound} bytes reached")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = mappable(resident, mapped, bound)
    # Where the user set a lower limit himself, that one stays.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def _small_stacks() -> None:
    """For the threads of every library; those that are missing the call keep theirs, which costs address space."""
    # libuv insists on 8 MiB for each of the four threads in which it resolves names: here one does.
    os.environ.setdefault("UV_THREADPOOL_SIZE", "1")
    single_threaded()
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.pthread_attr_init(attributes)
        library.pthread_attr_setstacksize(attributes, ctypes.c_size_t(STACK_BYTES))
        library.pthread_setattr_default_np(attributes)


def _thread_died(died: threading.ExceptHookArgs) -> None:
    if issubclass(died.exc_type, REFUSED):
        over(_WHAT)
    threading.__excepthook__(died)


def _loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), REFUSED):
        over(_WHAT)
    loop.default_exception_handler(context)
