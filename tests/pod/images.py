"""The images that stand beside ours in the pod's test: a real model server and a real Prometheus.

Built by podman without a network, from packages and programs that this host has. The model server is the demo's
(scikit-learn, Open Inference Protocol), which stands on our own image for its Python and numpy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from exporter.demo import data, model
from tests.environments.tools import tools

CONSTRAINTS = Path(__file__).resolve().parents[1] / "environments" / "main.txt"
# numpy is in our image already.
LEARNING = ("scikit-learn", "scipy", "joblib", "threadpoolctl", "narwhals", "cloudpickle")
MODEL = """FROM {base}
COPY site /model/site
COPY model.joblib /model/
ENV PYTHONPATH=/model/site
HEALTHCHECK NONE
USER 65532:65532
ENTRYPOINT ["python3", "-m", "exporter.demo.server", "--model", "/model/model.joblib", "--port", "8080"]
CMD []
"""
PROMETHEUS = """FROM {base}
COPY prometheus /usr/local/bin/
COPY prometheus.yml /etc/
USER 65534:65534
ENTRYPOINT ["prometheus", "--config.file=/etc/prometheus.yml", "--storage.tsdb.path=/tmp/prometheus"]
"""
SCRAPE = """global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: modeltap
    static_configs: [{{targets: ["{target}"]}}]
"""


def build(folder: Path, tag: str, recipe: str) -> None:
    """Build an image from that folder; fails with podman's last words."""
    (folder / "Containerfile").write_text(recipe)
    command = [
        "podman",
        "build",
        "--quiet",
        "--network",
        "none",
        "--format",
        "docker",
        "--tag",
        tag,
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{tag} was not built: {done.stderr[-2000:]}"


def model_image(folder: Path, base: str, python: str, tag: str) -> None:
    """A model trained here, and its server on that image, whose Python is of that version."""
    site = folder / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(site),
    ]
    which = [
        "--only-binary",
        ":all:",
        "--python-version",
        python,
        "--constraint",
        str(CONSTRAINTS),
        *LEARNING,
    ]
    subprocess.run([*command, *which], check=True, stderr=subprocess.DEVNULL)
    trained = model.train(data.split(data.load().training).fit)
    model.save(trained, folder / "model.joblib")
    build(folder, tag, MODEL.format(base=base))


def prometheus_image(folder: Path, base: str, target: str, tag: str) -> None:
    """The Prometheus of the other tests, told to scrape that target each second."""
    shutil.copy(tools() / "prometheus", folder / "prometheus")
    (folder / "prometheus.yml").write_text(SCRAPE.format(target=target))
    build(folder, tag, PROMETHEUS.format(base=base))
