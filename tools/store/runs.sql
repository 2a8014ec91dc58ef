-- name: enter
SELECT pg_try_advisory_lock(hashtextextended('tocsin run ' || %(id)s, 0)) AS mine

-- name: leave
SELECT pg_advisory_unlock(hashtextextended('tocsin run ' || %(id)s, 0)) AS mine
