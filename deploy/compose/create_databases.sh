#!/bin/bash
# PostgreSQL's image runs this once, on an empty volume: for each service a database, the login that owns it and runs
# the migrations, and the login of the application, which may connect and do what the migrations grant to it.
set -eu

for service in orders returns invoicing refunds; do
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --set service="$service" --set owner="${service}_owner" \
    --set password="$(cat "/run/secrets/$service")" --set owner_password="$(cat "/run/secrets/${service}_owner")" <<'SQL'
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password';
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"owner";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"service";
SQL
done
