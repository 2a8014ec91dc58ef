-- name: lock_head
SELECT seq, hash FROM audit_head FOR UPDATE

-- name: head
SELECT seq, hash FROM audit_head

-- name: append
INSERT INTO incident_events (seq, incident_id, at, kind, actor, body, prev_hash, hash)
SELECT seq, nullif(incident_id, 0), at, kind, actor, body::json, prev_hash, hash
FROM unnest(
    %(seqs)s::bigint[], %(incident_ids)s::bigint[], %(ats)b::timestamptz[], %(kinds)b::text[], %(actors)b::text[],
    %(bodies)b::text[], %(prev_hashes)b::text[], %(hashes)b::text[]
) AS new (seq, incident_id, at, kind, actor, body, prev_hash, hash)
ORDER BY seq

-- name: move_head
UPDATE audit_head SET seq = %(seq)s, hash = %(hash)s

-- name: timeline
SELECT seq, coalesce(incident_id, 0) AS incident_id, at, kind, actor, body, prev_hash, hash
FROM incident_events
WHERE incident_id = %(incident_id)s OR (%(incident_id)s = 0 AND incident_id IS NULL)
ORDER BY seq

-- name: after
SELECT seq, coalesce(incident_id, 0) AS incident_id, at, kind, actor, body, prev_hash, hash
FROM incident_events
WHERE seq > %(seq)s
ORDER BY seq
LIMIT %(limit)s

-- name: one_moment
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: any_since
SELECT 1 AS found FROM incident_events WHERE incident_id IS NULL AND kind = %(kind)s AND at >= %(since)s LIMIT 1
