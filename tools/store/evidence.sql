-- name: save
INSERT INTO evidence (incident_id, id, record) VALUES (%(incident_id)s, %(id)s, %(record)s)
ON CONFLICT (incident_id, id) DO UPDATE SET record = excluded.record

-- name: count
SELECT count(*) AS n FROM evidence WHERE incident_id = %(incident_id)s

-- name: list_for
SELECT record FROM evidence WHERE incident_id = %(incident_id)s ORDER BY ordinal
