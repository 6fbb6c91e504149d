"""`modeltap describe`: what a model is, written in training or read from what its server has; nothing is executed.

Of FILE or FOLDER (an MLmodel, config.json of Hugging Face, config.pbtxt, model-settings.json, ONNX, or a description in
JSON or YAML; - is standard input) with what the flags add, the description is printed as JSON, or written to --out.
`--compare A B` tells what differs between two. What a sidecar is given as `descriptions` is compared and shown by it.
Exit status: 0; 1 if what is compared differs; 2 for what cannot be read or is no description.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from exporter.collect.hashing import Outside, inside
from exporter.describe import SECTIONS, Description, describe, differences, text
from exporter.describe.description import IDENTITY, LISTS, schema
from exporter.parts.descriptions import Unreadable, load
from exporter.records.problems import Problems

STDIN: Final = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap describe`."""
    add = parser.add_argument
    add(
        "place", nargs="?", metavar="FILE", default="", help="file or folder to read, or - for standard input"
    )
    for key in IDENTITY:
        add(f"--{key.replace('_', '-')}", metavar="TEXT", help=f"{key.replace('_', ' ')} of the model")
    add(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="say that in a section; VALUE is JSON, or else text; may be repeated",
    )
    add("--environment", action="store_true", help="tell Python and the packages that are installed here")
    add(
        "--artifact",
        action="append",
        default=[],
        metavar="FILE",
        help="declare a file of the model with its digest, below the folder of --out; may be repeated",
    )
    add("--out", metavar="FILE", help="write it there (default: standard output)")
    add("--digest", action="store_true", help="print its digest only, as `descriptions` takes it")
    add("--compare", nargs=2, metavar=("A", "B"), help="tell what differs from A to B")
    add("--json", action="store_true", help="differences as JSON")
    add("--schema", action="store_true", help="print the JSON Schema of a description")


def run(args: argparse.Namespace) -> int:
    """Read, add, write; or compare."""
    if args.schema:
        print(json.dumps(schema(), indent=2))
        return 0
    try:
        if args.compare:
            return _compare(args)
        found = _changed(_read(args.place) if args.place else Description(), args)
        if not args.place and found == Description():
            raise Unreadable("modeltap describe: expected FILE, - or flags that say something")
        _out(found, args)
    except Unreadable as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _read(place: str) -> Description:
    if place == STDIN:
        return load("description.json", BytesIO(sys.stdin.buffer.read()), "standard input")
    return load(place)


def _changed(found: Description, args: argparse.Namespace) -> Description:
    """With what the flags say over what the file does."""
    document: dict[str, Any] = {**found.document()}
    document |= {key: getattr(args, key) for key in IDENTITY if getattr(args, key) is not None}
    problems = []
    for item in args.set:
        path, equals, value = item.partition("=")
        section, _, key = path.partition(".")
        if not equals or section not in SECTIONS or bool(key) is (section in LISTS):
            problems.append(f"--set {item}: expected SECTION.KEY=VALUE, of {', '.join(SECTIONS)}")
        elif key:
            document[section] = {**document.get(section, {}), key: _value(value)}
        else:
            document[section] = _value(value)
    if problems:
        raise Unreadable(*problems)
    if args.environment:
        document["environment"] = {**document.get("environment", {}), **_environment()}
    if args.artifact:
        declared = {one["path"]: one for one in document.get("artifacts", ())}
        document["artifacts"] = list((declared | _artifacts(args)).values())
    try:
        return describe(document, found.source)
    except Problems as error:
        raise Unreadable(*(f"modeltap describe{problem}" for problem in error.problems)) from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _artifacts(args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """By the path from where the description will be; that a link leads elsewhere is told now, not by every sidecar."""
    folder = os.path.dirname(args.out) if args.out else args.place if os.path.isdir(args.place) else "."
    found, problems = {}, []
    for name in args.artifact:
        path = os.path.relpath(name, folder or ".")
        try:
            inside(name, folder or ".")
        except Outside:
            problems.append(
                f"--artifact {name}: expected a file below {folder or '.'}, where the description is"
            )
            continue
        with open(name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path] = {"path": path, "digest": f"sha256:{digest}"}
    if problems:
        raise Unreadable(*problems)
    return found


def _environment() -> dict[str, Any]:
    import platform
    from importlib.metadata import distributions

    packages = {str(one.metadata["Name"]): one.version for one in distributions()}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items())),
    }


def _out(found: Description, args: argparse.Namespace) -> None:
    written = f"{found.digest}\n" if args.digest else text(found)
    if not args.out:
        print(written, end="")
        return
    # Whole or not at all: a sidecar may read it at any time.
    target = Path(args.out)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.write_text(written, encoding="utf-8")
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    print(f"{args.out}: {found.digest}", file=sys.stderr)


def _compare(args: argparse.Namespace) -> int:
    before, after = (_read(place) for place in args.compare)
    found = list(differences(before, after))
    if args.json:
        print(json.dumps([one._asdict() for one in found], ensure_ascii=False))
    else:
        print("\n".join(_lines(before, after)))
    return 1 if found else 0


def _lines(before: Description, after: Description) -> Iterator[str]:
    found = list(differences(before, after))
    for place, one, other in found:
        yield f"{place}: {_shown(one)} -> {_shown(other)}"
    if not found:
        yield f"the same: {before.digest}"


def _shown(value: Any) -> str:
    return "(nothing)" if value is None else json.dumps(value, ensure_ascii=False)
