"""Scenes by topic: what HTTP/1.0, HTTP/1.1 and plain TCP allow two ends to do on one connection.

To add one: a line in the table of its topic. It runs over plain TCP and through the sidecar in every mode.
"""

from tests.conformance.scenes import ambiguous, bodies, early, endings, interim, keepalive, tunnels

TOPICS = (keepalive, bodies, early, interim, tunnels, endings, ambiguous)
SCENES = {
    f"{topic.__name__.rpartition('.')[2]}: {name}": scene
    for topic in TOPICS
    for name, scene in topic.SCENES.items()
}
assert len(SCENES) == sum(len(topic.SCENES) for topic in TOPICS)
