"""What the kernel tells of pressure (PSI), of a group or the host: how long tasks waited for CPU, memory or disk."""

from exporter.host.files import number

# "some": one task at least waited; "full": all that had work to do waited at once.
STATES = ("waiting", "stalled")
_WORDS = {"some": "waiting", "full": "stalled"}


def totals(text: str | None) -> tuple[float, ...]:
    """Seconds waited and stalled; nothing where the kernel does not tell.

    Until 5.13 the line "full" is missing for the CPU, where a whole host never stalls.
    """
    found = dict.fromkeys(STATES, 0.0)
    seen = False
    for line in (text or "").splitlines():
        words = line.split() or [""]
        total = next((number(word[6:]) for word in words if word.startswith("total=")), None)
        if words[0] in _WORDS and total is not None:
            found[_WORDS[words[0]]] = total / 1e6
            seen = True
    return tuple(found.values()) if seen else ()
