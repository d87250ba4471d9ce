#!/bin/sh
# Make ./secrets for compose.yaml: what chance can make is made, what is there already stays. Gameball's keys and
# your certificate's two files are yours to put in; until then the certificate is one that we signed ourselves.
set -eu

mkdir -p secrets
# Nobody else may enter. The files are readable, because Compose mounts them as they are for users of
# other numbers (10001, 101, 999).
chmod 0700 secrets
cd secrets
umask 0333

by_chance() { openssl rand -hex 24; }
put() {
  if [ -e "$1" ]; then echo "kept   secrets/$1"; else printf '%s\n' "$2" > "$1" && echo "made   secrets/$1"; fi
}

put database_superuser_password "$(by_chance)"
put database_password "$(by_chance)"
put database_url "postgresql://vouch:$(cat database_password)@postgres/vouch"
put vouch_secret_keys "$(by_chance)"
put twitch_secret "$(by_chance)"
if [ ! -e tls_key ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout tls_key -out tls_certificate 2> openssl.log || { cat openssl.log >&2; exit 1; }
  rm -f openssl.log
  chmod 0444 tls_key tls_certificate
  echo "made   secrets/tls_certificate, secrets/tls_key: signed by nobody, for 30 days"
fi
for name in gameball_api_key gameball_secret_key; do
  [ -e "$name" ] || { (umask 0133; : > "$name"); echo "empty  secrets/$name: put Gameball's key in"; }
done
