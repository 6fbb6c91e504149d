"""A decoder that dies, allocates without end, or spins, by the name of the model in the path."""

import os
import signal

NAME = "open_inference_v2"
STEPS = {"grows": 1 << 20, "leaps": 1 << 26, "creeps": 1 << 8}  # bytes
MODELS = ("dies", "grows", "leaps", "creeps", "spins")


def claims(exchange):
    """Only what is meant for it."""
    return exchange.path.split("/")[3:4][0] in MODELS if exchange.path.startswith("/v2/models/") else False


def decode(exchange):
    """Never returns."""
    model = exchange.path.split("/")[3]
    if model == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    kept = []
    while True:
        if model in STEPS:
            kept.append(bytearray(b"x" * STEPS[model]))
