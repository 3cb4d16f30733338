#!/usr/bin/env bash
# Makes the key file that members of a replica set know each other by (one member here, but MongoDB asks for it), then
# hands over to the official image's entry point, which creates the users on an empty volume and gives files to `mongodb`.
set -euo pipefail

keyfile=/data/configdb/keyfile
if [ ! -s "$keyfile" ]; then
    (umask 077 && head -c 756 /dev/urandom | base64 --wrap=0 > "$keyfile")
fi
chmod 400 "$keyfile"

exec docker-entrypoint.sh "$@"
