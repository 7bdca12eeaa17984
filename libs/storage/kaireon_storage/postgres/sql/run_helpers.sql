-- name: find_shared_run()^
-- A run that is being decided, of which more is left than those who decide it hold (two chunks each); the one with the
-- fewest helpers first. System role: a helper serves every tenant.
SELECT run.tenant_id, run.id
FROM jobs AS job
JOIN decision_runs AS run ON run.tenant_id = job.tenant_id AND run.id = job.id
CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM decision_run_helpers AS helper
    WHERE helper.tenant_id = run.tenant_id AND helper.run_id = run.id AND NOT kaireon_has_come(helper.leased_until)
) AS helpers
WHERE job.queue = 'batch-jobs' AND job.status = 'running' AND NOT job.is_cancel_requested AND run.is_shared
    AND 2 * (1 + helpers.count) < (
        SELECT count(*) FROM decision_run_chunks AS chunk
        WHERE chunk.tenant_id = run.tenant_id AND chunk.run_id = run.id
            AND coalesce(chunk.decided_count < chunk.place_count, true)
    )
ORDER BY helpers.count, job.started_at
LIMIT 1;

-- name: join_run(tenant_id, run_id, lease_token, lease_seconds)^
-- Help with a run that is not over.
INSERT INTO decision_run_helpers (tenant_id, run_id, lease_token, leased_until)
SELECT job.tenant_id, job.id, :lease_token::uuid, clock_timestamp() + make_interval(secs => :lease_seconds)
FROM jobs AS job
WHERE job.tenant_id = :tenant_id AND job.id = :run_id AND job.status IN ('queued', 'running')
    AND NOT job.is_cancel_requested
RETURNING run_id;

-- name: renew_helper(tenant_id, run_id, lease_token, lease_seconds)^
-- Go on helping; tells whether the run is over, or is to end.
UPDATE decision_run_helpers AS helper SET leased_until = clock_timestamp() + make_interval(secs => :lease_seconds)
FROM jobs AS job
WHERE helper.tenant_id = :tenant_id AND helper.run_id = :run_id AND helper.lease_token = :lease_token
    AND job.tenant_id = helper.tenant_id AND job.id = helper.run_id
RETURNING job.is_cancel_requested OR job.status NOT IN ('queued', 'running') AS is_over;

-- name: leave_run(tenant_id, run_id, lease_token)!
-- Help no more: what is held and not decided is free.
DELETE FROM decision_run_helpers
WHERE tenant_id = :tenant_id AND run_id = :run_id AND lease_token = :lease_token;

-- name: dismiss_helpers(tenant_id, run_id)!
-- End all helping, once what is being committed is; nobody who helped can write any more.
DELETE FROM decision_run_helpers WHERE tenant_id = :tenant_id AND run_id = :run_id;

-- name: hold_helper(tenant_id, run_id, lease_token)^
-- Lock a helper's row until the end of the transaction; no row when it was dismissed or the run is over. One that hangs
-- loses the lock with its connection.
SELECT helper.run_id, set_config('idle_in_transaction_session_timeout', '15s', true)
FROM decision_run_helpers AS helper JOIN jobs AS job ON job.tenant_id = helper.tenant_id AND job.id = helper.run_id
WHERE helper.tenant_id = :tenant_id AND helper.run_id = :run_id AND helper.lease_token = :lease_token
    AND job.status IN ('queued', 'running') AND NOT job.is_cancel_requested
FOR UPDATE OF helper;
