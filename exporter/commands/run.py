"""`modeltap run`: the sidecar."""

import argparse
import logging
import sys

from exporter.config import SETTINGS, ConfigError, load

HELP = "run the sidecar in front of a model server"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as a flag."""
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings")
    for setting in SETTINGS:
        action = "append" if setting.repeat else "store"
        parser.add_argument(setting.flag, dest=setting.key, action=action, metavar="VALUE", help=setting.help)


def run(args: argparse.Namespace) -> int:
    """2 with every problem of the configuration, 1 if an address cannot be bound."""
    try:
        config = load(vars(args))
    except ConfigError as error:
        for problem in error.problems:
            print(f"modeltap: {problem}", file=sys.stderr)
        return 2
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from exporter.app import BindError
    from exporter.app import run as run_root

    try:
        return run_root(config)
    except BindError as error:
        print(f"modeltap: {error}", file=sys.stderr)
        return 1
