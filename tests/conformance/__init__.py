"""Black-box tests of the running data plane: what a client and a model see with the sidecar between them."""
