-- name: add
INSERT INTO event_cursors (name, seq) VALUES (%(name)s, 0) ON CONFLICT DO NOTHING

-- name: hold
SELECT seq FROM event_cursors WHERE name = %(name)s FOR UPDATE SKIP LOCKED

-- name: move
UPDATE event_cursors SET seq = %(seq)s WHERE name = %(name)s
