"""How gunicorn runs `vouch serve`. Change it here; `vouch serve --bind` overrides the address.

Read from config/gunicorn.conf.py below the folder in which `vouch serve` is started (in the image:
/var/lib/vouch). What is left out there is as here.

Every setting: https://docs.gunicorn.org/en/stable/settings.html
"""

import os

bind = "127.0.0.1:8000"

# Web processes and threads in each. Left out, they follow the database: one process of 32 threads
# over SQLite, which has one writer anyway; two of 16 over PostgreSQL.
# workers = 2
# threads = 16

# Threads, except that callbacks which arrive together share one. "gthread": one for each; slower.
worker_class = "app.server.callback_worker.CallbackWorker"

# How long a web process may go without a sign of life before it is replaced, in seconds.
timeout = 60

# After SIGTERM: how long requests, and submissions in flight, may take to end, in seconds.
graceful_timeout = 30

# Keep a platform's or a proxy's connection open between requests, in seconds.
keepalive = 30

# Connections open at once in each web process, idle ones included; when there are more, the longest
# idle one is closed. Each costs some kilobytes, and a file descriptor: `vouch serve` raises its own
# soft limit (`ulimit -n`) as far as the hard one allows.
worker_connections = 12_000

# No proxy is asked for the scheme (X-Forwarded-Proto and its like): nothing depends on it, and
# gunicorn answers 400 where two of these headers disagree. Nor is the caller's address taken from
# here: count your proxies in [web] trusted_proxies.
secure_scheme_headers: dict[str, str] = {}
forwarded_allow_ips = "127.0.0.1,::1"

# `bind = "unix:/run/vouch/vouch.sock"`: its owner and its group may connect (mode 0770 with this).
umask = 0o007

# A header field of a stranger: longer ones, or more, are refused with a 4xx.
limit_request_field_size = 8190
limit_request_fields = 100
limit_request_line = 4094

# Where gunicorn keeps its sign of life: in memory, so that a read-only root file system will do.
# Where there is no such folder (macOS), or it is not ours to write to, in a temporary one.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
