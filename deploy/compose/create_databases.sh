#!/bin/bash
# PostgreSQL's image runs this script once, on an empty volume. For each service with an owner's password it creates a
# database, the owner's login, which runs the migrations, and the application's login, which may connect and has the
# privileges that the migrations grant.
set -eu

for file in /run/secrets/*_owner; do
  service=$(basename "$file" _owner)
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
