"""`modeltap run`: the sidecar in front of a model server.

Every setting is a flag, a key of the YAML file or a variable MODELTAP_…; flags beat variables beat the file.
"""

import argparse
import sys

from exporter import logs
from exporter.config import ConfigError, load
from exporter.options import SETTINGS
from exporter.sockets import BindError, allow_many, bind_all


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
    logs.configure(config.log_level)
    allow_many()
    try:
        sockets = bind_all(config)
    except BindError as error:
        print(f"modeltap: {error}", file=sys.stderr)
        return 1
    # Clients that come from here on wait in the listeners for the rest of the imports.
    from exporter.app import run as run_root

    return run_root(config, sockets)
