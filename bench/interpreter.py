"""Which Python runs, how it was built, and whether a module that it loaded is compiled: facts for the header.

What a running process has mapped is believed, not what its command line says.
"""

import os
import subprocess
from pathlib import Path

from bench import procfs

SECONDS = 20.0
# Profile-guided builds are 10 to 20 % faster: Debian's and the container images are, pyenv's are not by default.
OPTIMISED = "--enable-optimizations"
CODE = (
    "import platform, sysconfig;"
    "print(platform.python_version(), sysconfig.get_config_var('CONFIG_ARGS') or '', sep='\\n')"
)


def of_process(pid: int, module: str) -> str:
    """One line about a running Python process."""
    try:
        program = os.readlink(procfs.PROC / str(pid) / "exe")
        maps = (procfs.PROC / str(pid) / "maps").read_text(errors="replace")
    except OSError as error:
        return f"unknown ({error})"
    state = "compiled" if is_compiled(maps, module) else "interpreted"
    return f"{of_program(program)}; {module} {state}"


def of_program(program: str) -> str:
    """Version of an interpreter and whether it was built with optimisation; "unknown" if it cannot tell."""
    try:
        done = subprocess.run(
            [program, "-I", "-c", CODE], capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown ({error})"
    version, _, arguments = done.stdout.strip().partition("\n")
    return f"Python {version}, built with{'' if OPTIMISED in arguments else 'out'} {OPTIMISED}"


def is_compiled(maps: str, module: str) -> bool:
    """Whether `/proc/<pid>/maps` shows the module as a shared library.

    mypyc puts many modules into one library beside their package; a module's own is then only a file that leads
    there, and is not always mapped.
    """
    files = list(map(Path, procfs.mapped_files(maps)))
    place = Path(*module.split("."))
    own = f"{place.name}.*so"
    if any(file.match(f"{place.parent}/{own}") for file in files):
        return True
    groups = [file.parent for file in files if "__mypyc" in file.name]
    return any(next((group / place.parent).glob(own), None) is not None for group in groups)
