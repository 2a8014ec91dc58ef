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
