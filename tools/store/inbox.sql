-- name: put
INSERT INTO inbox (event_id, kind, payload) VALUES (%(event_id)s, %(kind)s, %(payload)s)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id

-- name: put_many
INSERT INTO inbox (event_id, kind, payload)
SELECT event_id, kind, payload::json
FROM unnest(%(event_ids)b::text[], %(kinds)b::text[], %(payloads)b::text[]) AS new (event_id, kind, payload)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id

-- name: get
SELECT event_id, kind, payload, state, error, received_at FROM inbox WHERE event_id = %(event_id)s

-- name: get_new
SELECT event_id, kind, payload, state, error, received_at
FROM inbox
WHERE event_id = ANY(%(event_ids)s::text[]) AND state = 'new'
ORDER BY received_at, event_id

-- name: settle
WITH mine AS (
    SELECT event_id FROM inbox WHERE event_id = ANY(%(event_ids)s::text[]) AND state = 'new' ORDER BY event_id FOR UPDATE
)
UPDATE inbox SET state = 'done', error = '', settled_at = now() FROM mine WHERE inbox.event_id = mine.event_id
RETURNING inbox.event_id

-- name: done
UPDATE inbox SET state = 'done', error = '', settled_at = now() WHERE event_id = %(event_id)s

-- name: failed
UPDATE inbox SET state = 'failed', error = %(error)s, settled_at = now() WHERE event_id = %(event_id)s

-- name: waiting
SELECT event_id, kind, payload, state, error, received_at
FROM inbox
WHERE state = 'new' AND received_at <= %(before)s
ORDER BY received_at
LIMIT %(limit)s

-- name: troubled
UPDATE inbox SET error = %(error)s WHERE event_id = %(event_id)s AND state = 'new'

-- name: give_up
WITH live AS MATERIALIZED (
    SELECT args ->> 'event_id' AS event_id
    FROM procrastinate_jobs
    WHERE status IN ('todo', 'doing') AND task_name = %(one)s
    UNION ALL
    SELECT jsonb_array_elements_text(args -> 'event_ids')
    FROM procrastinate_jobs
    WHERE status IN ('todo', 'doing') AND task_name = %(many)s
), abandoned AS (
    SELECT event_id
    FROM inbox
    WHERE state = 'new' AND NOT EXISTS (SELECT 1 FROM live WHERE live.event_id = inbox.event_id)
    ORDER BY event_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE inbox
SET state = 'failed', error = CASE inbox.error WHEN '' THEN %(reason)s ELSE inbox.error END, settled_at = now()
FROM abandoned
WHERE inbox.event_id = abandoned.event_id
RETURNING inbox.event_id, kind, payload, state, error, received_at

-- name: failures
SELECT event_id, kind, payload, state, error, received_at
FROM inbox
WHERE state = 'failed'
ORDER BY received_at DESC, event_id
LIMIT %(limit)s

-- name: reopen
UPDATE inbox SET state = 'new', error = '', settled_at = NULL WHERE event_id = %(event_id)s AND state = 'failed'
RETURNING event_id
