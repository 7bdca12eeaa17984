-- name: insert_job(tenant_id, id, queue, type, payload, dedupe_key, traceparent)!
-- Queue a job. It counts as announced, because its message follows at once.
INSERT INTO jobs (tenant_id, id, queue, type, payload, dedupe_key, traceparent, announced_at)
VALUES (:tenant_id, :id, :queue, :type, :payload, :dedupe_key, :traceparent, now());

-- name: find_live_duplicate(tenant_id, queue, dedupe_key)^
-- The queued or running job that holds a dedupe key.
SELECT id FROM jobs
WHERE tenant_id = :tenant_id AND queue = :queue AND dedupe_key = :dedupe_key AND status IN ('queued', 'running');

-- name: get_job(tenant_id, id)^
-- One job of a tenant.
SELECT id, queue, type, status, attempts, processed, total, error, result, created_at, started_at, finished_at
FROM jobs
WHERE tenant_id = :tenant_id AND id = :id;

-- name: list_jobs(tenant_id, status, queue, after_at, after_id, row_count)
-- The jobs of a tenant, newest first, after a position.
SELECT id, queue, type, status, attempts, processed, total, error, result, created_at, started_at, finished_at
FROM jobs
WHERE tenant_id = :tenant_id
    AND (:status::text IS NULL OR status = :status)
    AND (:queue::text IS NULL OR queue = :queue)
    AND (:after_at::timestamptz IS NULL OR (created_at, id) < (:after_at, :after_id::uuid))
ORDER BY created_at DESC, id DESC
LIMIT :row_count;

-- name: count_jobs(tenant_id, status, queue)^
-- How many jobs of a tenant match.
SELECT count(*) AS total FROM jobs
WHERE tenant_id = :tenant_id
    AND (:status::text IS NULL OR status = :status)
    AND (:queue::text IS NULL OR queue = :queue);

-- name: cancel_job(tenant_id, id)!
-- Cancel a job that nobody runs; ask one that is being run to end.
UPDATE jobs SET
    is_cancel_requested = true,
    status = CASE WHEN status = 'running' AND NOT kaireon_has_come(leased_until) THEN status ELSE 'cancelled' END,
    finished_at = CASE
        WHEN status = 'running' AND NOT kaireon_has_come(leased_until) THEN finished_at ELSE clock_timestamp()
    END,
    lease_token = CASE WHEN status = 'running' AND NOT kaireon_has_come(leased_until) THEN lease_token END,
    leased_until = CASE WHEN status = 'running' AND NOT kaireon_has_come(leased_until) THEN leased_until END
WHERE tenant_id = :tenant_id AND id = :id AND status IN ('queued', 'running');

-- name: find_lapsed(tenant_id, id)^
-- A job whose lease has lapsed, and that nobody has taken up since.
SELECT id FROM jobs
WHERE tenant_id = :tenant_id AND id = :id AND status = 'running' AND kaireon_has_come(leased_until);

-- name: claim_job(tenant_id, id, lease_token, lease_seconds)^
-- Take the lease of a due job, unless somebody holds it or its row. A job that was cancelled meanwhile, or that has
-- lost as many workers as it may try, ends here instead.
WITH target AS (
    SELECT id FROM jobs
    WHERE tenant_id = :tenant_id AND id = :id AND (
        (status = 'queued' AND kaireon_has_come(run_after))
        OR (status = 'running' AND kaireon_has_come(leased_until))
    )
    FOR UPDATE SKIP LOCKED
),
judged AS (
    SELECT jobs.id, CASE
        WHEN jobs.is_cancel_requested THEN 'cancelled'
        WHEN jobs.attempts >= jobs.max_attempts THEN 'dead'
        ELSE 'running'
    END AS verdict
    FROM jobs JOIN target ON jobs.id = target.id
    WHERE jobs.tenant_id = :tenant_id
)
UPDATE jobs SET
    status = judged.verdict,
    attempts = jobs.attempts + (judged.verdict = 'running')::integer,
    lease_token = CASE WHEN judged.verdict = 'running' THEN :lease_token::uuid END,
    leased_until = CASE
        WHEN judged.verdict = 'running' THEN clock_timestamp() + make_interval(secs => :lease_seconds)
    END,
    started_at = CASE WHEN judged.verdict = 'running' THEN coalesce(jobs.started_at, clock_timestamp())
        ELSE jobs.started_at END,
    finished_at = CASE WHEN judged.verdict = 'running' THEN NULL ELSE clock_timestamp() END,
    error = CASE WHEN judged.verdict = 'dead' THEN jsonb_build_object(
        'code', 'worker_lost', 'message', 'the worker was lost in ' || jobs.attempts || ' attempts'
    ) ELSE jobs.error END
FROM judged
WHERE jobs.tenant_id = :tenant_id AND jobs.id = judged.id
RETURNING jobs.queue, jobs.type, jobs.payload, jobs.status, jobs.attempts, jobs.max_attempts, jobs.processed,
    jobs.total, jobs.traceparent;

-- name: renew_lease(lease_seconds, processed, total, tenant_id, id, lease_token)^
-- Renew a lease and write progress. A lease that lapsed may be renewed for as long as nobody took the job.
UPDATE jobs SET
    leased_until = clock_timestamp() + make_interval(secs => :lease_seconds),
    processed = :processed,
    total = :total
WHERE tenant_id = :tenant_id AND id = :id AND lease_token = :lease_token AND status = 'running'
RETURNING is_cancel_requested;

-- name: settle_job(status, uncounted, retry_after_seconds, processed, total, error, result, tenant_id, id, lease_token)!
-- End an attempt: for good, or to be tried again after a delay. A job that was asked to end is not tried again.
UPDATE jobs SET
    status = CASE WHEN :status = 'queued' AND is_cancel_requested THEN 'cancelled' ELSE :status END,
    finished_at = CASE WHEN :status = 'queued' AND NOT is_cancel_requested THEN NULL ELSE clock_timestamp() END,
    attempts = attempts - :uncounted::integer,
    run_after = clock_timestamp() + make_interval(secs => :retry_after_seconds),
    announced_at = NULL,
    lease_token = NULL,
    leased_until = NULL,
    processed = :processed,
    total = :total,
    error = :error,
    result = :result
WHERE tenant_id = :tenant_id AND id = :id AND lease_token = :lease_token AND status = 'running';

-- name: hold_lease(tenant_id, id, lease_token)^
-- Lock the row of a leased job until the end of the transaction; no row when the lease is lost. A worker that hangs
-- loses the lock with its connection: nobody could take the job over before.
SELECT id, set_config('idle_in_transaction_session_timeout', '15s', true) FROM jobs
WHERE tenant_id = :tenant_id AND id = :id AND lease_token = :lease_token AND status = 'running'
FOR UPDATE;

-- name: find_lapsed_holders(grace_seconds)
-- The transactions, if they still run, that hold leases (of jobs, of helpers) which lapsed so long ago: the one that
-- locked a row last is its xmax. System role: it serves every tenant.
SELECT xmax::text AS xid FROM jobs
WHERE status = 'running' AND kaireon_has_come(leased_until + make_interval(secs => :grace_seconds)) AND xmax::text <> '0'
UNION
SELECT xmax::text FROM decision_run_helpers
WHERE kaireon_has_come(leased_until + make_interval(secs => :grace_seconds)) AND xmax::text <> '0';

-- name: resume_login_role^
-- Nobody else may see and end the sessions of the login.
SELECT set_config('role', 'none', true);

-- name: end_holders(xids, grace_seconds)
-- End the sessions of these transactions that have waited for their worker for so long. One whose worker stopped half way
-- through a message is not idle: no time-out of Postgres ends it.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid::text = ANY(:xids::text[])
    AND wait_event_type = 'Client' AND state_change < clock_timestamp() - make_interval(secs => :grace_seconds);

-- name: take_due_jobs(busy_queues, queued_again_seconds, lapsed_again_seconds, batch_count)
-- Mark jobs that somebody should look at as announced now. System role: it serves every tenant.
UPDATE jobs SET announced_at = clock_timestamp()
WHERE (tenant_id, id) IN (
    SELECT tenant_id, id FROM jobs
    WHERE status IN ('queued', 'running') AND (
        (
            status = 'queued' AND kaireon_has_come(run_after) AND (
                announced_at IS NULL OR (
                    NOT queue = ANY(:busy_queues::text[])
                    AND NOT announced_at BETWEEN
                        clock_timestamp() - make_interval(secs => :queued_again_seconds) AND clock_timestamp()
                )
            )
        ) OR (
            status = 'running' AND kaireon_has_come(leased_until) AND (
                announced_at IS NULL
                OR announced_at < greatest(
                    leased_until, clock_timestamp() - make_interval(secs => :lapsed_again_seconds)
                )
            )
        )
    )
    ORDER BY run_after
    LIMIT :batch_count
    FOR UPDATE SKIP LOCKED
)
RETURNING tenant_id, id, queue;

-- name: forget_announcement(tenant_ids, ids)!
-- Make jobs look unannounced. System role: it serves every tenant.
UPDATE jobs SET announced_at = NULL
WHERE tenant_id = ANY(:tenant_ids::uuid[]) AND id = ANY(:ids::uuid[]) AND status IN ('queued', 'running');

-- name: bury_unknown_queues(known_queues)!
-- Move jobs of queues that nobody consumes to the dead-letter list. System role: it serves every tenant.
UPDATE jobs SET
    status = 'dead',
    finished_at = clock_timestamp(),
    error = jsonb_build_object('code', 'unknown_queue', 'message', 'nobody consumes this queue')
WHERE status = 'queued' AND NOT queue = ANY(:known_queues::text[]);

-- name: bury_message(id, queue, type, payload, error, tenant_id)!
-- Keep a broker message that is no job: a dead job of the tenant it names, else of the oldest tenant.
INSERT INTO jobs (tenant_id, id, queue, type, payload, status, attempts, error, finished_at)
SELECT tenants.tenant_id, :id, :queue, :type, :payload, 'dead', 1, :error, clock_timestamp()
FROM tenants
ORDER BY tenants.tenant_id = :tenant_id::uuid DESC NULLS LAST, tenants.created_at, tenants.tenant_id
LIMIT 1
ON CONFLICT (id) DO NOTHING;

-- name: measure_queues()
-- How many jobs of each queue are due and free, and since when the oldest is. System role: it serves every tenant.
SELECT queue, count(*) AS waiting, greatest(0, extract(epoch FROM clock_timestamp() - min(run_after)))::float AS age_seconds
FROM jobs
WHERE status = 'queued' AND kaireon_has_come(run_after)
GROUP BY queue;
