# The image of modeltap: one virtualenv on a slim base, no build tools, nothing written at run time.
# `make image`, or docker build -t modeltap:0.1.0 .
# Any base with Python >= 3.11 will do: --build-arg BASE=…, by digest where it must not move. What is built on must
# have the same Python at the same place, its venv module besides: --build-arg BUILD_BASE=…
# Where no package index is reached, wheels are taken from ./wheelhouse: --build-arg PIP_NO_INDEX=1
# The same sources, base and SOURCE_DATE_EPOCH give the same files.
ARG BASE=python:3.12-slim
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
# The data plane is compiled (about 1.5 times faster), or the build fails; COMPILE=0 leaves it plain Python.
ARG COMPILE=1
RUN [ "${COMPILE}" = 0 ] || command -v gcc \
    || (apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev)
ARG PIP_NO_INDEX
# Names of optional dependency groups, separated by commas.
ARG EXTRAS=""
# pip itself imports what it has installed; the byte code that this leaves behind would have the time in it.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_FIND_LINKS=/wheelhouse PYTHONHASHSEED=0 \
    PYTHONDONTWRITEBYTECODE=1
COPY image/lock /lock
# The pattern matches nothing where there is no such folder, and that is no error beside a file that is there.
COPY LICENSE wheelhous[e] /wheelhouse/
# Only what is pinned by hash gets in. The environment itself has no pip: it is of no use at run time.
RUN python3 -m venv /tools && /tools/bin/pip install --quiet --require-hashes -r /lock/build.txt \
    && python3 -m venv --without-pip /opt/modeltap \
    && for name in base $(echo "${EXTRAS}" | tr ',' ' '); do \
         /tools/bin/pip --python /opt/modeltap/bin/python install --quiet --no-compile --no-deps \
           --require-hashes -r "/lock/${name}.txt" || exit 1; \
       done
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY exporter ./exporter
ARG SOURCE_DATE_EPOCH=1735689600
# Other packages' tests are a sixth of what they bring. The byte code is never checked against its source: nothing
# changes there, and nothing could be written.
RUN MODELTAP_COMPILE=${COMPILE} SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
      /tools/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /tools/bin/pip --python /opt/modeltap/bin/python install --quiet --no-compile --no-index --no-deps \
      --find-links /wheels modeltap \
    && find /opt/modeltap/lib -type d -name tests -prune -exec rm -r {} + \
    && /opt/modeltap/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/modeltap/lib \
    && chmod -R a+rX,go-w /opt/modeltap

# On the base itself, so that the bill lists what the result is made of and not what it was built with.
FROM ${BASE} AS bill
ARG SOURCE_DATE_EPOCH=1735689600
COPY --from=build /opt/modeltap /opt/modeltap
COPY image/sbom.py /
RUN SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} python3 -I /sbom.py /opt/modeltap/lib/python3*/site-packages \
      > /opt/modeltap/sbom.cdx.json

FROM ${BASE} AS final
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=""
LABEL org.opencontainers.image.title="modeltap" \
      org.opencontainers.image.description="Sidecar in front of a model endpoint: telemetry for Prometheus and OpenTelemetry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=bill /opt/modeltap /opt/modeltap
ENV PATH=/opt/modeltap/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 9000 9464 9465
# Numeric, so that runAsNonRoot can be verified; any other user works as well, in group 0 or not.
USER 65532:65532
# http.client, not urllib: a proxy named in the environment must not answer for the sidecar.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["python3", "-I", "-c", "import http.client, os, sys; port = os.environ.get('MODELTAP_HEALTH', ':9465').rpartition(':')[2]; probe = http.client.HTTPConnection('127.0.0.1', int(port), timeout=2); probe.request('GET', '/livez'); sys.exit(probe.getresponse().status != 200)"]
ENTRYPOINT ["modeltap"]
CMD ["run"]
