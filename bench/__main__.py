"""`python -m bench`: check what is needed, run, print the tables, write the JSON.

Exit status: 0 when every figure is valid, 1 when one is not, 2 when the run could not start, 130 on Ctrl-C.
Whatever ends it, every process that it started has ended too.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from bench import decode, machine, plan, report, runner, tables
from bench.errors import MeasureError, SetupError


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    # Set even where the caller ignored it, as a shell does for what it runs in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        made = plan.parse(arguments)
        if made is None:
            print(plan.listing())
            return 0
        return _run(made)
    except SetupError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except MeasureError as error:
        print(f"bench: stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; everything that was started has ended", file=sys.stderr)
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The `with` blocks of the runner end the processes on the way out.
    raise KeyboardInterrupt


def _run(made: plan.Plan) -> int:
    if sys.platform != "linux":
        raise SetupError("the benchmark reads Linux's accounting and pins to cores; it runs on Linux only")
    if made.install:
        machine.install(made.programs)
    machine.require(made.programs)
    cores = machine.choose_cores(os.sched_getaffinity(0))
    facts = machine.facts(cores) | machine.versions(made.programs)
    facts["rounds"] = (
        f"{made.rounds} x {made.seconds:g} s per peer and scenario, interleaved; median (min..max)"
    )
    if not cores.apart:
        facts["warning"] = "one core for everything: CPU per request stands, rates and latencies mean little"
    _say(f"about {made.estimate_seconds:.0f} s")
    results = runner.run(made, cores, _say)
    facts |= results.facts
    document = report.document(results, made.scenarios, made.peers, facts)
    decoded = _decoded(made.decode_rounds)
    document["decoding"] = decoded
    printed = _tables(made)
    document["tables"] = {one.table.name: one.text.splitlines() for one in printed}
    made.results.write_text(json.dumps(document | {"finished_unix_seconds": time.time()}, indent=1) + "\n")
    print(report.text(results, made.scenarios, made.peers, facts))
    if decoded:
        print(
            "\n".join(["\ndecoding, µs of CPU of the analysis:", decode.HEADER, *map(decode.line, decoded)])
        )
    for one in printed:
        print(f"\n{one.table.title}:\n{one.problem or one.text}")
    print(f"\nwritten: {made.results}")
    if made.markdown is not None:
        page = report.markdown(report.bars(results, made.scenarios, made.peers), facts)
        page += f"\n{decode.markdown(decoded)}" if decoded else ""
        page += f"{tables.markdown(printed)}\n" if printed else ""
        made.markdown.write_text(page, encoding="utf-8")
        print(f"written: {made.markdown}")
    return 1 if results.problems or any(one.problem for one in printed) else 0


def _decoded(rounds: int) -> list[dict[str, Any]]:
    """What decoding costs, by dialect and size; nothing without rounds."""
    if not rounds:
        return []
    _say("decoding")
    return [decode.measured(case, rounds) for case in decode.cases()]


def _tables(made: plan.Plan) -> list[tables.Printed]:
    """What the other programs print; their peers take part where installing was asked for."""
    chosen = tables.TABLES if made.table_rounds else ()
    return [tables.printed(table, made.table_rounds, made.install, _say) for table in chosen]


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
