-- name: raise_due
UPDATE procrastinate_jobs SET priority = 0 WHERE status = 'todo' AND priority < 0 AND scheduled_at <= now()

-- name: counts
SELECT status::text AS status, count(*) AS n
FROM procrastinate_jobs
WHERE status IN ('todo', 'doing', 'failed')
GROUP BY status

-- name: oldest
SELECT coalesce(extract(epoch FROM now() - min(coalesce(j.scheduled_at, e.at))), 0)::float AS seconds
FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'
WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())

-- name: hold
SELECT id FROM procrastinate_jobs WHERE queueing_lock = %(queueing_lock)s AND status = 'todo' FOR SHARE
