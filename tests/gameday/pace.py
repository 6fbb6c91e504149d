"""The shipped rules and the shipped Alertmanager configuration at a rehearsal's pace.

Only times and addresses differ from what users load. A day must be short for drift, while an alert of five minutes must
still be later than the page of three: hence a pace for each file.
"""

import re
from pathlib import Path

from alert_rules import generate

CONFIG = generate.HERE / "alertmanager.yaml"
# How many times as fast; a scrape is a second, so that five minutes cannot be less than about five.
PACES = {"traffic.yaml": 60.0, "load.yaml": 60.0, "life.yaml": 60.0, "slo.yaml": 240.0}
PACE = 180.0
NOTIFYING = 60.0
_TIMES = re.compile(r"(?P<key>(?:group_wait|group_interval|repeat_interval): )(?P<number>\d+)(?P<unit>[smh])")


def write_rules(folder: Path) -> Path:
    """All files of rules, as a glob for Prometheus."""
    folder.mkdir()
    for name, build in generate.FILES:
        text = generate.faster(generate.render(build()), PACES.get(name, PACE))
        (folder / name).write_text(text)
    return folder / "*.yaml"


def write_configuration(folder: Path, web: str, mail: str) -> Path:
    """alertmanager.yaml with its texts beside it, sending to these addresses."""
    (folder / "modeltap.tmpl").write_text(CONFIG.with_name("modeltap.tmpl").read_text())
    text = CONFIG.read_text().replace("http://127.0.0.1:9095", web).replace("127.0.0.1:9025", mail)
    file = folder / "alertmanager.yaml"
    file.write_text(_TIMES.sub(_shorter, text))
    return file


def _shorter(found: re.Match[str]) -> str:
    seconds = int(found["number"]) * generate.SECONDS[found["unit"]] / NOTIFYING
    # A repetition within a rehearsal would be a second page.
    return f"{found['key']}1h" if "repeat" in found["key"] else f"{found['key']}{round(seconds * 1000)}ms"
