#!/bin/bash
# Run once, when the database is made: the role of service and worker, which cannot change history.
set -euo pipefail
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set=word="$(cat /run/secrets/postgres_role)" <<'SQL'
CREATE ROLE gpulab LOGIN PASSWORD :'word';
SQL
