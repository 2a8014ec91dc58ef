-- name: begin
INSERT INTO posts (incident_id, key, channel) VALUES (%(incident_id)s, %(key)s, %(channel)s)
ON CONFLICT (incident_id, key) DO NOTHING
RETURNING incident_id, key, channel, ts, content_hash, state

-- name: posted
UPDATE posts
SET state = 'posted', ts = %(ts)s, content_hash = %(content_hash)s, updated_at = now()
WHERE incident_id = %(incident_id)s AND key = %(key)s
RETURNING incident_id, key, channel, ts, content_hash, state

-- name: get
SELECT incident_id, key, channel, ts, content_hash, state
FROM posts
WHERE incident_id = %(incident_id)s AND key = %(key)s

-- name: list_for
SELECT incident_id, key, channel, ts, content_hash, state FROM posts WHERE incident_id = %(incident_id)s ORDER BY key

-- name: forget
DELETE FROM posts WHERE incident_id = %(incident_id)s AND key = %(key)s AND state = 'posting' RETURNING key
