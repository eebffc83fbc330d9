#!/bin/sh
# Makes the database when there is none, and becomes the server.
set -eu
export PGDATA=/data/db
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	printf '%s\n' "${POSTGRES_PASSWORD:?}" >/data/password
	BIN/initdb --username=postgres --pwfile=/data/password --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
exec BIN/postgres -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
