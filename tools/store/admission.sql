-- name: lock
SELECT pg_advisory_xact_lock(key) FROM unnest(%(keys)s::bigint[]) AS key

-- name: life
SELECT status, severity, started_at, ended_at, changes, incident_id, flapping
FROM alert_life
WHERE fingerprint = ANY(%(fingerprints)s)
ORDER BY heard_at DESC, incident_id DESC NULLS LAST
LIMIT 1

-- name: note_life
INSERT INTO alert_life (
    fingerprint, status, severity, started_at, ended_at, changes, incident_id, flapping, heard_at
)
SELECT
    fingerprint, %(status)s, %(severity)s, %(started_at)s, %(ended_at)s, %(changes)s::timestamptz[], %(incident_id)s,
    %(flapping)s, %(heard_at)s
FROM unnest(%(fingerprints)s::text[]) AS fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET
    status = excluded.status, severity = excluded.severity, started_at = excluded.started_at,
    ended_at = excluded.ended_at, changes = excluded.changes, incident_id = excluded.incident_id,
    flapping = excluded.flapping, heard_at = excluded.heard_at

-- name: belongs
UPDATE alert_life SET incident_id = %(incident_id)s WHERE fingerprint = ANY(%(fingerprints)s::text[])

-- name: groups
SELECT
    i.id AS incident_id, NULL::bigint AS waiting_id, i.group_key AS key, i.alert, i.state ->> 'state' AS state,
    coalesce((i.alert ->> 'starts_at')::timestamptz, i.opened_at) AS started_at,
    ARRAY(SELECT g.group_key FROM incident_groups g WHERE g.incident_id = i.id) AS group_keys,
    EXISTS (
        SELECT FROM incident_alerts a WHERE a.incident_id = i.id AND a.fingerprint = ANY(%(fingerprints)s::text[])
    ) AS known,
    EXISTS (
        SELECT FROM incident_alerts a
        WHERE a.incident_id = i.id AND a.fingerprint = ANY(%(fingerprints)s::text[]) AND a.firing
    ) AS member
FROM incidents i
WHERE
    i.resolved_at IS NULL
    AND (
        i.service = %(service)s
        OR md5(i.group_key) = ANY(%(hashes)s::text[])
        OR i.id IN (SELECT g.incident_id FROM incident_groups g WHERE md5(g.group_key) = md5(%(group_key)s))
        OR i.id IN (SELECT a.incident_id FROM incident_alerts a WHERE a.fingerprint = ANY(%(fingerprints)s::text[]))
    )
UNION ALL
SELECT
    NULL, w.id, w.key, w.alert, '', w.started_at, w.group_keys,
    EXISTS (
        SELECT FROM waiting_alerts a WHERE a.waiting_id = w.id AND a.fingerprints && %(fingerprints)s::text[]
    ),
    EXISTS (
        SELECT FROM waiting_alerts a WHERE a.waiting_id = w.id AND a.fingerprints && %(fingerprints)s::text[]
    )
FROM waiting_groups w
WHERE
    w.service = %(service)s
    OR md5(w.key) = ANY(%(hashes)s::text[])
    OR %(group_key)s = ANY(w.group_keys)
    OR EXISTS (SELECT FROM waiting_alerts a WHERE a.waiting_id = w.id AND a.fingerprints && %(fingerprints)s::text[])
ORDER BY incident_id, waiting_id

-- name: ended
SELECT * FROM (
    SELECT
        i.id AS incident_id, i.group_key AS key, i.alert, i.resolved_at,
        coalesce((SELECT max(l.ended_at) FROM alert_life l WHERE l.incident_id = i.id), i.resolved_at) AS at,
        coalesce((SELECT min(l.started_at) FROM alert_life l WHERE l.incident_id = i.id), i.opened_at) AS started_at,
        md5(i.group_key) = ANY(%(hashes)s::text[])
        OR i.id IN (SELECT g.incident_id FROM incident_groups g WHERE md5(g.group_key) = md5(%(group_key)s))
        OR i.id IN (SELECT a.incident_id FROM incident_alerts a WHERE a.fingerprint = ANY(%(fingerprints)s::text[]))
            AS same
    FROM incidents i
    WHERE i.resolved_at >= %(since)s AND i.alert ->> 'sender' <> 'person'
) AS past
WHERE same OR (past.alert ->> 'service' = %(service)s AND %(service)s <> '')
ORDER BY resolved_at DESC, incident_id DESC
LIMIT 10

-- name: load
SELECT
    count(*) FILTER (WHERE busy) AS at_once,
    count(*) FILTER (WHERE busy AND channel = %(channel)s) AS per_channel,
    count(*) FILTER (WHERE busy AND service = %(service)s AND service <> '') AS per_service,
    count(*) AS per_hour
FROM (
    SELECT
        channel, service,
        resolved_at IS NULL AND state ->> 'state' = 'open' AND opened_at > %(now)s::timestamptz - interval '10 minutes'
            AS busy
    FROM incidents
    WHERE opened_at > %(now)s::timestamptz - interval '1 hour'
) AS recent

-- name: diagnosed
SELECT EXISTS (SELECT FROM incident_events WHERE incident_id = %(incident_id)s AND kind = 'diagnosed') AS yes

-- name: add_group
INSERT INTO incident_groups (incident_id, group_key) VALUES (%(incident_id)s, %(group_key)s) ON CONFLICT DO NOTHING

-- name: raise_severity
UPDATE incidents
SET alert = jsonb_set(alert::jsonb, '{severity}', to_jsonb(%(severity)s::text))::json
WHERE id = %(incident_id)s

-- name: wait
INSERT INTO waiting_groups (key, group_keys, service, channel, alert, critical, started_at, first_at, due_at, cap)
VALUES (
    %(key)s, %(group_keys)s, %(service)s, %(channel)s, %(alert)s, %(critical)s, %(started_at)s, %(at)s, %(due_at)s,
    %(cap)s
)
ON CONFLICT (md5(key)) DO UPDATE SET
    due_at = excluded.due_at, cap = excluded.cap, critical = waiting_groups.critical OR excluded.critical,
    group_keys = ARRAY(SELECT DISTINCT unnest(waiting_groups.group_keys || excluded.group_keys))
RETURNING id, first_at, (xmax = 0) AS made

-- name: wait_until
UPDATE waiting_groups SET due_at = %(due_at)s, cap = %(cap)s WHERE id = %(id)s

-- name: add_waiting
INSERT INTO waiting_alerts (waiting_id, fingerprints, alert, place)
VALUES (%(id)s, %(fingerprints)s, %(alert)s, %(place)s)

-- name: waiting
SELECT id, key, group_keys, service, channel, alert, critical, first_at, due_at, cap
FROM waiting_groups
WHERE id = %(id)s

-- name: waiting_alerts
SELECT id, fingerprints, alert, place FROM waiting_alerts WHERE waiting_id = %(id)s ORDER BY id

-- name: drop_waiting
WITH gone AS (
    DELETE FROM waiting_alerts WHERE waiting_id = %(id)s AND fingerprints && %(fingerprints)s::text[] RETURNING id
)
SELECT count(*) AS n FROM waiting_alerts WHERE waiting_id = %(id)s AND id NOT IN (SELECT id FROM gone)

-- name: drop_group
DELETE FROM waiting_groups WHERE id = %(id)s

-- name: critical_first
SELECT count(*) AS n FROM waiting_groups WHERE cap <> '' AND critical AND id <> %(id)s

-- name: held
SELECT count(*) AS n FROM waiting_groups WHERE cap = %(cap)s AND channel = %(channel)s

-- name: overdue
SELECT id FROM waiting_groups WHERE due_at < %(before)s ORDER BY critical DESC, first_at LIMIT 500

-- name: begin_episode
INSERT INTO episodes (kind, subject, began_at) VALUES (%(kind)s, %(subject)s, %(at)s)
ON CONFLICT (kind, subject) DO NOTHING
RETURNING id

-- name: end_episode
DELETE FROM episodes WHERE kind = %(kind)s AND subject = %(subject)s

-- name: spent
SELECT coalesce(sum((body #>> '{diagnosis,usage,usd}')::float8), 0) AS usd
FROM incident_events
WHERE kind = 'diagnosed' AND at >= %(since)s
