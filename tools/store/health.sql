-- name: version
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
       pg_is_in_recovery() AS standby

-- name: extensions
SELECT name, installed_version, default_version FROM pg_available_extensions WHERE name = ANY(%(names)s)
