"""The sidecar between real parts: a real model server, Prometheus, Alertmanager and an OTLP receiver."""
