"""How a distance is drawn beside what it is judged by: colours, dashed limits, rows on an axis of their own.

It knows the words of legends and no metric. Invariant: a limit looks the same wherever it is drawn.
"""

from dashboards.panels import Panel, beside, coloured, empty, sized

NO_REFERENCE = "No reference profile"
NO_RULES = "No reference profile, too few rows, or recording rules that are not loaded"
FLOOR, CRITICAL, LEVEL, ROWS = "noise floor", "critical", "reference's own level", "effective rows"
# Distances have the palette's own: there may be several.
COLOURS = {FLOOR: "text", CRITICAL: "red", LEVEL: "orange", ROWS: "purple"}


def drawn(panel: Panel, idle: str = NO_REFERENCE) -> Panel:
    """With limits dashed; effective rows have the axis on the right, and the distance is the first of the legend."""
    legend = {key: value for key, value in panel["options"]["legend"].items() if not key.startswith("sort")}
    panel = {**panel, "options": {**panel["options"], "legend": legend}}
    shown = coloured(panel, COLOURS, (FLOOR, CRITICAL, LEVEL))
    beside(shown, ROWS, "short")
    return empty(sized(shown, 8, 9), idle)
