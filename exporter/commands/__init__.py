"""One file per subcommand: `add_arguments(parser)` and `run(args) -> exit status`.

To add one: a file here and a line in COMMANDS of `cli.py`. A module is imported only when its command is used.
"""
