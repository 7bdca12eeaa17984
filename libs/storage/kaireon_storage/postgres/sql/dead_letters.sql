-- name: count_dead_letters(tenant_id, ids, topic)
-- How many dead letters a tenant has, by topic.
SELECT topic, count(*) AS total FROM (
    SELECT tenant_id, id, type AS topic FROM outbox_dead_letters WHERE tenant_id = :tenant_id
    UNION ALL
    SELECT tenant_id, id, queue AS topic FROM jobs WHERE tenant_id = :tenant_id AND status = 'dead'
) AS letters
WHERE tenant_id = :tenant_id
    AND (:ids::uuid[] IS NULL OR id = ANY(:ids)) AND (:topic::text IS NULL OR topic = :topic)
GROUP BY topic
ORDER BY topic;

-- name: list_dead_letters(tenant_id, ids, topic, row_count)
-- The dead letters of a tenant, newest first.
SELECT id, topic, payload, error, retry_count, failed_at FROM (
    SELECT tenant_id, id, type AS topic, payload, error, attempts AS retry_count, failed_at
    FROM outbox_dead_letters WHERE tenant_id = :tenant_id
    UNION ALL
    SELECT
        tenant_id, id, queue AS topic, payload,
        coalesce(concat_ws(': ', error ->> 'code', error ->> 'message'), '') AS error,
        attempts AS retry_count, coalesce(finished_at, created_at) AS failed_at
    FROM jobs WHERE tenant_id = :tenant_id AND status = 'dead'
) AS letters
WHERE tenant_id = :tenant_id
    AND (:ids::uuid[] IS NULL OR id = ANY(:ids)) AND (:topic::text IS NULL OR topic = :topic)
ORDER BY failed_at DESC, id
LIMIT :row_count;

-- name: known_dead_letters(tenant_id, ids)
-- Which of these ids are dead letters of a tenant.
SELECT id FROM outbox_dead_letters WHERE tenant_id = :tenant_id AND id = ANY(:ids::uuid[])
UNION
SELECT id FROM jobs WHERE tenant_id = :tenant_id AND id = ANY(:ids::uuid[]) AND status = 'dead';

-- name: requeue_events(tenant_id, ids, topic)!
-- Move dead events back to the outbox, to be relayed as new, under the same ids.
WITH letters AS (
    DELETE FROM outbox_dead_letters
    WHERE tenant_id = :tenant_id
        AND (:ids::uuid[] IS NULL OR id = ANY(:ids)) AND (:topic::text IS NULL OR type = :topic)
    RETURNING id, tenant_id, type, key, payload, created_at, failed_at
)
INSERT INTO outbox_events (id, tenant_id, type, key, payload, status, attempts, created_at)
SELECT id, tenant_id, type, key, payload, 'pending', 0, created_at FROM letters ORDER BY failed_at, id
ON CONFLICT (id) DO UPDATE SET status = 'pending', attempts = 0, last_error = NULL, sent_at = NULL
WHERE outbox_events.tenant_id = excluded.tenant_id;

-- name: requeue_jobs(tenant_id, ids, topic)
-- Queue dead jobs again, with all their attempts; of jobs that share a dedupe key the newest alone, and none beside
-- a live one.
WITH chosen AS (
    SELECT DISTINCT ON (queue, coalesce(dedupe_key, id::text)) id FROM jobs
    WHERE tenant_id = :tenant_id AND status = 'dead'
        AND (:ids::uuid[] IS NULL OR id = ANY(:ids)) AND (:topic::text IS NULL OR queue = :topic)
        AND NOT EXISTS (
            SELECT FROM jobs AS live
            WHERE live.tenant_id = :tenant_id AND live.queue = jobs.queue AND live.dedupe_key = jobs.dedupe_key
                AND live.status IN ('queued', 'running')
        )
    ORDER BY queue, coalesce(dedupe_key, id::text), created_at DESC
)
UPDATE jobs SET
    status = 'queued', attempts = 0, run_after = clock_timestamp(), announced_at = NULL, lease_token = NULL,
    leased_until = NULL, is_cancel_requested = false, error = NULL, finished_at = NULL
FROM chosen
WHERE jobs.tenant_id = :tenant_id AND jobs.id = chosen.id AND jobs.status = 'dead'
RETURNING jobs.id, jobs.queue;

-- name: purge_events(tenant_id, ids, topic)!
-- Delete dead events for good.
DELETE FROM outbox_dead_letters
WHERE tenant_id = :tenant_id
    AND (:ids::uuid[] IS NULL OR id = ANY(:ids)) AND (:topic::text IS NULL OR type = :topic);

-- name: purge_jobs(tenant_id, ids, topic)!
-- Delete dead jobs for good.
DELETE FROM jobs
WHERE tenant_id = :tenant_id AND status = 'dead'
    AND (:ids::uuid[] IS NULL OR id = ANY(:ids)) AND (:topic::text IS NULL OR queue = :topic);
