"""The decoders' target: `python -m tests.fuzz.decoder` with libFuzzer's arguments, in an environment with atheris."""

import sys

import atheris

# With what the fuzzer cannot see into, it finds its way by their own branches.
INSTRUMENTED = ("exporter.decode",)


def main() -> None:
    """Look, until libFuzzer's arguments or a broken law end it; the process ends with it."""
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        from tests.fuzz import decoding
    # libFuzzer starts itself anew to merge, through a shell: by a command, not by the name of a module's file.
    atheris.Setup([f"{sys.executable} -m {__spec__.name}", *sys.argv[1:]], decoding.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
