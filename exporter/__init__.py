"""modeltap: a Prometheus and OpenTelemetry exporter sidecar for machine-learning model endpoints."""

__version__ = "0.1.0"
