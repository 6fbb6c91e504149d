"""Evidence for the data plane: real sockets on a real loop, a worker between scripted models and raw clients."""
