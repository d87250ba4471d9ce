# Two stages: the wheels are built with pip, and only their result is shipped.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY migrations migrations
COPY config config
RUN python -m venv /opt/vouch \
 && /opt/vouch/bin/pip install --no-cache-dir --constraint constraints.txt '.[postgres]'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/vouch --create-home vouch
COPY --from=build /opt/vouch /opt/vouch
ENV PATH=/opt/vouch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TMPDIR=/tmp \
    VOUCH_CONFIG=/etc/vouch/vouch.toml \
    DATABASE_URL=sqlite:////var/lib/vouch/vouch.db
USER vouch
WORKDIR /var/lib/vouch
VOLUME ["/var/lib/vouch"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["vouch"]
CMD ["serve", "--bind", "0.0.0.0:8000"]
# Runs with a read-only root file system:
#   docker run --read-only --tmpfs /tmp -v vouch-data:/var/lib/vouch -v ./config:/etc/vouch:ro …
