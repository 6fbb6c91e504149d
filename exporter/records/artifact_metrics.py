"""Catalogue rows of artefacts: files of the model that are hashed and compared with the digest that is expected."""

from exporter.records.metric import Metric

# What can be said of a file: see docs/artifacts.md.
STATES = ("match", "mismatch", "unverified", "missing", "unreadable", "outside", "pending", "changing")
_FILE = ("artifact",)

ARTIFACT: tuple[Metric, ...] = (
    Metric(
        "model.artifact",
        "info",
        "1",
        ("artifact", "digest"),
        "1 for each file of the model whose digest (SHA-256) is known and whose file has not changed since.",
    ),
    Metric(
        "model.artifact.state",
        "gauge",
        "1",
        ("artifact", "state"),
        "1 for the state that a file of the model is in: match, mismatch, unverified (no digest is expected), missing, "
        "unreadable, outside (a link leads out of the folder of the description that declares it), pending (not hashed "
        "yet), changing (it changed while it was hashed).",
        "stable",
    ),
    Metric(
        "model.artifact.conflict",
        "gauge",
        "1",
        _FILE,
        "1 for each file of the model of which a description declares another digest than the settings, or than a "
        "description before it; it is not compared with that one.",
    ),
    Metric("model.artifact.size", "gauge", "By", _FILE, "Size of a file of the model when it was hashed."),
    Metric(
        "model.artifact.hash_time",
        "gauge",
        "s",
        _FILE,
        "Unix time at which the digest of a file of the model was taken.",
    ),
    Metric(
        "model.artifact.hashes",
        "counter",
        "{file}",
        ("outcome",),
        "Files of the model that were hashed, by outcome: finished, changed (meanwhile), failed (to be read).",
    ),
    Metric(
        "model.artifact.hashed",
        "counter",
        "By",
        (),
        "Bytes of files of the model that were read to be hashed.",
    ),
    Metric(
        "model.artifact.changes",
        "counter",
        "{change}",
        _FILE,
        "Times that a file of the model was found to have another digest than before.",
    ),
    Metric(
        "model.artifact.left_out",
        "gauge",
        "1",
        ("reason",),
        "What is not watched: files over the bound (too_many), those that no label can name (bad_name), lines of "
        "lists of digests that say nothing (bad_line).",
    ),
)
