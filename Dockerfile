# serein as a service: `make dist`, then `docker build -t serein .`
# It writes nothing but to /tmp, so it runs with a read-only file system: see compose.yaml.
# What it installs is held to the hashes of requirements-serve.txt. The base is pinned by tag; where you
# build for others, pin it by digest: --build-arg BASE=python@sha256:…
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /build
COPY requirements-serve.txt dist/*.whl ./
RUN python -m venv /opt/serein \
 && /opt/serein/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps \
      --require-hashes --requirement requirements-serve.txt \
 && /opt/serein/bin/python -m pip install --no-cache-dir --no-index --no-deps ./*.whl \
 && /opt/serein/bin/python -m pip check

FROM ${BASE}
COPY --from=build /opt/serein /opt/serein
ENV PATH=/opt/serein/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD \
  ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Beyond loopback it asks every client for a key, which comes as a file: never in the image.
ENTRYPOINT ["serein", "serve", "--host", "0.0.0.0", "--api-key-file", "/run/secrets/serein_api_key"]
