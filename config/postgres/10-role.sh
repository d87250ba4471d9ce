#!/bin/sh
# Once, when the data folder is new: a role that owns its database and nothing else. The server's own
# superuser stays for people.
set -eu
psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 \
  --set password="$(cat /run/secrets/database_password)" <<'SQL'
CREATE ROLE vouch LOGIN PASSWORD :'password';
CREATE DATABASE vouch OWNER vouch;
REVOKE ALL ON DATABASE vouch FROM PUBLIC;
SQL
