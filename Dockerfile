# syntax=docker/dockerfile:1
# Two stages: the first installs with pip, the second ships only the result: no pip, no compiler.
#
# The base is pinned by its tag, so that a rebuild takes Debian's security updates. Where builds must be the same bit for
# bit, pin the digest as well, and let a bot raise it:
#   docker buildx imagetools inspect python:3.11-slim-bookworm
#   docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:… -t vouch .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv --without-pip /opt/vouch
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY migrations migrations
# By name: a filled-in configuration or an environment file may be beside them.
COPY config/example.env config/gunicorn.conf.py config/vouch.example.toml config/
# Wheels only: nothing that we depend on is compiled, or runs a setup script, here.
RUN python3 -m pip --python /opt/vouch/bin/python install --no-cache-dir --no-compile \
    --only-binary :all: --constraint constraints.txt '.[postgres]' \
 && /opt/vouch/bin/python -m compileall -q -j 0 /opt/vouch/lib

FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Vouch" \
      org.opencontainers.image.description="Turns social actions into Gameball rewards" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A number, not a name: orchestrators then can tell that it is not root.
RUN python3 -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel \
 && groupadd --gid 10001 vouch \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/vouch --no-create-home --shell /usr/sbin/nologin vouch \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/vouch \
 && install -d -m 0755 /etc/vouch
COPY --from=build /opt/vouch /opt/vouch
ENV PATH=/opt/vouch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VOUCH_CONFIG=/etc/vouch/vouch.toml \
    DATABASE_URL=sqlite:////var/lib/vouch/vouch.db
USER 10001:10001
WORKDIR /var/lib/vouch
VOLUME ["/var/lib/vouch"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# Without importing more than a socket: a probe every few seconds must not cost what the service costs.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-ISc", "import socket; c = socket.create_connection(('127.0.0.1', 8000), 3); c.sendall(b'GET /readyz HTTP/1.0\\r\\n\\r\\n'); raise SystemExit(b' 200 ' not in c.recv(64))"]
ENTRYPOINT ["vouch"]
CMD ["serve", "--bind", "0.0.0.0:8000"]
# Secrets come at run time, as files (<NAME>_FILE); none is in a layer, an argument or the environment. It runs with
# nothing but its volume writable:
#   docker run -p 127.0.0.1:8000:8000 -e TWITCH_SECRET --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v vouch-data:/var/lib/vouch -v ./config:/etc/vouch:ro …
