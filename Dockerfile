# The image of modeltap: one virtualenv on a slim base, no build tools, nothing written at run time.
# docker build -t modeltap:0.1.0 .
# Any base with Python >= 3.11 and its venv module will do: --build-arg BASE=…
# Where no package index is reached: --volume "$PWD/wheelhouse:/wheelhouse:ro"
#   --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheelhouse
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
# The data plane is compiled where a C compiler can be had (about 1.5 times faster); it runs as plain Python otherwise.
RUN command -v gcc || (apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev) || true
# Names of optional dependency groups, separated by commas.
ARG EXTRAS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/modeltap
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY exporter ./exporter
RUN python3 -m venv /tmp/tools && /tmp/tools/bin/pip wheel --wheel-dir /tmp/wheels ".${EXTRAS:+[${EXTRAS}]}"
# pip itself leaves the environment: it is of no use at run time. Any user must be able to read the rest.
RUN /opt/modeltap/bin/pip install --no-index --find-links /tmp/wheels "modeltap${EXTRAS:+[${EXTRAS}]}" \
    && /opt/modeltap/bin/pip uninstall --yes --quiet pip \
    && chmod -R a+rX /opt/modeltap

FROM ${BASE} AS final
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="modeltap" \
      org.opencontainers.image.description="Sidecar in front of a model endpoint: telemetry for Prometheus and OpenTelemetry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/modeltap /opt/modeltap
ENV PATH=/opt/modeltap/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 9000 9464 9465
# Numeric, so that runAsNonRoot can be verified; any other user works as well.
USER 65532:65532
# http.client, not urllib: a proxy named in the environment must not answer for the sidecar.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["python3", "-I", "-c", "import http.client, os, sys; port = os.environ.get('MODELTAP_HEALTH', ':9465').rpartition(':')[2]; probe = http.client.HTTPConnection('127.0.0.1', int(port), timeout=2); probe.request('GET', '/livez'); sys.exit(probe.getresponse().status != 200)"]
ENTRYPOINT ["modeltap"]
CMD ["run"]
