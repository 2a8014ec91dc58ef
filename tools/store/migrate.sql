-- name: lock
SELECT pg_advisory_lock(hashtextextended('tocsin migrations', 0))

-- name: create_table
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: exists
SELECT to_regclass('schema_migrations') IS NOT NULL AS found

-- name: applied
SELECT name, sha256 FROM schema_migrations ORDER BY name

-- name: record
INSERT INTO schema_migrations (name, sha256) VALUES (%(name)s, %(sha256)s)
