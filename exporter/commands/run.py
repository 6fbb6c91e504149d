"""`modeltap run`: the sidecar in front of a model server.

Every setting is a flag, a key of the YAML file or a variable MODELTAP_…; flags beat variables beat the file.
SIGTERM, SIGINT or `modeltap drain` stop it in an orderly way, a second signal at once. SIGHUP reads the settings
again: bounds, times and the log level may change while it runs; the log says what was taken over.
Exit status: 0 when it was told to stop, also where the grace was not enough; 1 if an address cannot be bound;
2 if the configuration has problems, all of which are told.
"""

import argparse
import os
import sys

from exporter.processes import logs
from exporter.processes.sockets import BindError, allow_many, bind_all
from exporter.proxy.settings import Settings
from exporter.settings.config import ConfigError, load, proxy_settings
from exporter.settings.options import SETTINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as a flag."""
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings")
    for setting in SETTINGS:
        action = "append" if setting.repeat else "store"
        parser.add_argument(setting.flag, dest=setting.key, action=action, metavar="VALUE", help=setting.help)


def run(args: argparse.Namespace) -> int:
    """2 with every problem of the configuration, 1 if an address cannot be bound, else 0 once told to stop."""
    return sidecar(args)


def sidecar(args: argparse.Namespace, command: tuple[str, ...] = ()) -> int:
    """The same, with the model server as a child where there is a command."""
    try:
        config = load(vars(args))
        check_files(proxy_settings(config))
        check_web(config.web_config)
        check_authorities(config.payload_log_ca)
        check_receipts(config.label_receipts)
    except ConfigError as error:
        for problem in error.problems:
            print(f"modeltap: {problem}", file=sys.stderr)
        return 2
    logs.configure(config.log_level, config.log_format)
    os.environ[next(one.variable for one in SETTINGS if one.key == "log_format")] = config.log_format
    descriptors = allow_many()
    try:
        sockets = bind_all(config)
    except BindError as error:
        print(f"modeltap: {error}", file=sys.stderr)
        return 1
    # Clients that come from here on wait in the listeners for the rest of the imports.
    from exporter.app import run as run_root
    from exporter.parts.wrapping import Wrapped

    return run_root(config, sockets, lambda: load(vars(args)), Wrapped(command, descriptors))


def check_files(settings: Settings) -> None:
    """ConfigError if a certificate or key cannot be used; nothing is imported for that where there is none."""
    if not settings.tls.cert and not any(upstream.tls for upstream in settings.upstreams):
        return
    from exporter.proxy.tls import Contexts, TlsError

    try:
        Contexts(settings)
    except TlsError as error:
        raise ConfigError([str(error)]) from error


def check_web(file: str) -> None:
    """ConfigError if the admin side's file cannot be used."""
    if not file:
        return
    from exporter.admin.guard import Guard
    from exporter.admin.web import WebError

    try:
        Guard(file)
    except WebError as error:
        raise ConfigError(error.problems) from error


def check_receipts(file: str) -> None:
    """ConfigError if no receipt could be signed."""
    if not file:
        return
    from exporter.pending.receipt import BadKeys, read_keys

    try:
        read_keys(file)
    except BadKeys as error:
        raise ConfigError([f"--label-receipts: {error}"]) from error
    except OSError as error:
        raise ConfigError(
            [
                f"--label-receipts: {file}: {error.strerror}; expected lines with an id and a secret in hexadecimal"
            ]
        ) from error


def check_authorities(file: str) -> None:
    """ConfigError if the payload log's sink could never be trusted."""
    if not file:
        return
    import ssl

    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            [f"--payload-log-ca: {file}: {reason}; expected certificates of authorities (PEM)"]
        ) from error
