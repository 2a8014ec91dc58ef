-- name: add
INSERT INTO decisions (at, first, reason, detail, incident_id, fingerprint, name, service, status, labels)
SELECT at, first, reason, detail, nullif(incident_id, 0), fingerprint, name, service, status, labels::json
FROM unnest(
    %(ats)b::timestamptz[], %(firsts)s::boolean[], %(reasons)b::text[], %(details)b::text[], %(incident_ids)s::bigint[],
    %(fingerprints)b::text[], %(names)b::text[], %(services)b::text[], %(statuses)b::text[], %(labels)b::text[]
) WITH ORDINALITY AS new (
    at, first, reason, detail, incident_id, fingerprint, name, service, status, labels, place
)
ORDER BY place

-- name: of_incident
SELECT id, at, first, reason, detail, incident_id, name, service, status
FROM decisions
WHERE incident_id = %(incident_id)s
ORDER BY id DESC
LIMIT %(limit)s

-- name: counts_of_incident
SELECT reason, count(*) AS n FROM decisions WHERE incident_id = %(incident_id)s GROUP BY reason ORDER BY n DESC, reason

-- name: of_name
SELECT id, at, first, reason, detail, incident_id, name, service, status
FROM decisions
WHERE lower(name) = lower(%(name)s)
ORDER BY id DESC
LIMIT %(limit)s

-- name: heard
SELECT name, min(labels::text)::json AS labels, count(*) AS n
FROM decisions
WHERE at >= %(since)s AND first AND status = 'firing'
GROUP BY name, fingerprint
ORDER BY n DESC
LIMIT 20000

-- name: days
SELECT (at AT TIME ZONE 'UTC')::date AS day, reason, first, count(*) AS n
FROM decisions
WHERE at >= %(since)s
GROUP BY 1, 2, 3
ORDER BY 1, 2

-- name: incidents
SELECT (opened_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n
FROM incidents
WHERE opened_at >= %(since)s
GROUP BY 1
ORDER BY 1

-- name: forget
DELETE FROM decisions WHERE at < %(before)s
