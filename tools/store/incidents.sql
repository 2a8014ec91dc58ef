-- name: open
INSERT INTO incidents (group_key, alert, service, channel, thread_ts, opened_at)
VALUES (%(group_key)s, %(alert)s, %(service)s, %(channel)s, %(thread_ts)s, %(at)s)
ON CONFLICT (md5(group_key)) WHERE resolved_at IS NULL DO NOTHING
RETURNING id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at

-- name: lock_open
SELECT id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at
FROM incidents
WHERE md5(group_key) = md5(%(group_key)s) AND resolved_at IS NULL
FOR UPDATE

-- name: find_open
SELECT id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at
FROM incidents
WHERE md5(group_key) = md5(%(group_key)s) AND resolved_at IS NULL

-- name: get
SELECT id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at FROM incidents WHERE id = %(id)s

-- name: lock
SELECT id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at
FROM incidents
WHERE id = %(id)s
FOR UPDATE

-- name: save_state
UPDATE incidents SET state = %(state)s, resolved_at = %(resolved_at)s WHERE id = %(id)s RETURNING id

-- name: set_thread
UPDATE incidents SET channel = %(channel)s, thread_ts = %(thread_ts)s WHERE id = %(id)s RETURNING id

-- name: by_thread
SELECT id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at
FROM incidents
WHERE channel = %(channel)s AND thread_ts = %(thread_ts)s AND thread_ts <> ''

-- name: recent
SELECT id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at
FROM incidents
WHERE %(service)s::text IS NULL OR service = %(service)s
ORDER BY opened_at DESC, id DESC
LIMIT %(limit)s

-- name: unsettled
SELECT id, group_key, alert, state, channel, thread_ts, opened_at, resolved_at
FROM incidents
WHERE resolved_at IS NULL
ORDER BY id
LIMIT %(limit)s

-- name: case
SELECT
    i.id, i.group_key, i.alert, i.state, i.channel, i.thread_ts, i.opened_at, i.resolved_at,
    (SELECT coalesce(json_agg(e.record ORDER BY e.ordinal), '[]') FROM evidence e WHERE e.incident_id = i.id)
        AS evidence,
    (SELECT coalesce(json_agg(p ORDER BY p.created_at, p.id), '[]') FROM proposals p WHERE p.incident_id = i.id)
        AS proposals,
    (
        SELECT coalesce(json_agg(a ORDER BY a.at, a.by), '[]')
        FROM approvals a JOIN proposals p ON p.id = a.proposal_id
        WHERE p.incident_id = i.id
    ) AS approvals,
    (SELECT coalesce(json_agg(t ORDER BY t.seq), '[]') FROM incident_events t WHERE t.incident_id = i.id) AS timeline
FROM incidents i
WHERE i.id = %(id)s
