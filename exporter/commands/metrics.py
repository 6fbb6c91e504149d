"""`modeltap metrics`: the catalogue, as a table."""

import argparse

from exporter.records.catalogue import CATALOGUE, prometheus_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """One line each: Prometheus name, kind, labels, help."""
    for row in CATALOGUE:
        labels = "{" + ", ".join(row.labels) + "}" if row.labels else ""
        print(f"{prometheus_name(row)}{labels}\n    {row.kind}, {row.stability}. {row.help}")
    return 0
