-- What an operator looks at first, over all tenants, as kaireon_system.

-- name: read_server^
-- Postgres' clock, the process id that the server knows, its version, and whether it takes no writes.
SELECT clock_timestamp() AS at, pg_backend_pid() AS pid, current_setting('server_version') AS version,
    pg_is_in_recovery() AS is_replica;

-- name: measure_queues
-- The unfinished and dead jobs of each queue; due_seconds: for how long the oldest that may run has waited.
SELECT queue,
    count(*) FILTER (WHERE status = 'queued') AS queued,
    count(*) FILTER (WHERE status = 'running' AND NOT kaireon_has_come(leased_until)) AS running,
    count(*) FILTER (WHERE status = 'running' AND kaireon_has_come(leased_until)) AS lost,
    count(*) FILTER (WHERE status = 'dead') AS dead,
    coalesce(extract(epoch FROM clock_timestamp() - min(run_after) FILTER (
        WHERE status = 'queued' AND kaireon_has_come(run_after)
    )), 0)::float8 AS due_seconds
FROM jobs
WHERE status IN ('queued', 'running', 'dead')
GROUP BY queue
ORDER BY queue;

-- name: measure_outbox^
-- Events that wait, counted up to :bound, for how long, the last refusal, and the events that were given up.
SELECT
    (SELECT count(*) FROM (
        SELECT FROM outbox_events WHERE status = 'pending' LIMIT :bound
    ) AS bounded) AS pending,
    (SELECT count(*) FROM (
        SELECT FROM outbox_events WHERE status NOT IN ('pending', 'sent') LIMIT :bound
    ) AS bounded) AS stuck,
    (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 FROM outbox_events
        WHERE status = 'pending') AS pending_seconds,
    (SELECT last_error FROM outbox_events WHERE status = 'pending' AND attempts > 0
        ORDER BY position LIMIT 1) AS last_error,
    (SELECT count(*) FROM (SELECT FROM outbox_dead_letters LIMIT :bound) AS bounded) AS dead;
