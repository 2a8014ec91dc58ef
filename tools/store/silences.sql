-- name: add
INSERT INTO silences (matchers, comment, created_by, created_at, ends_at)
VALUES (%(matchers)s, %(comment)s, %(created_by)s, %(created_at)s, %(ends_at)s)
RETURNING id, matchers, comment, created_by, created_at, ends_at, expired_by

-- name: active
SELECT id, matchers, comment, created_by, created_at, ends_at, expired_by
FROM silences
WHERE ends_at > %(now)s
ORDER BY ends_at, id
LIMIT 1000

-- name: get
SELECT id, matchers, comment, created_by, created_at, ends_at, expired_by FROM silences WHERE id = %(id)s

-- name: expire
UPDATE silences SET ends_at = %(now)s, expired_by = %(by)s WHERE id = %(id)s AND ends_at > %(now)s
RETURNING id
