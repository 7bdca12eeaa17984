-- name: insert_run(tenant_id, id, request, total, terms, is_shared, definition_id, due_at)^
-- Write what a run is about, unless its definition has one for this instant; its job and its customers follow in the
-- same transaction.
INSERT INTO decision_runs (tenant_id, id, request, total, terms, is_shared, definition_id, due_at, run_number)
SELECT
    :tenant_id, :id, :request, :total, :terms, :is_shared, :definition_id, :due_at,
    CASE WHEN :definition_id::uuid IS NOT NULL THEN 1 + coalesce((
        SELECT max(before.run_number) FROM decision_runs AS before
        WHERE before.tenant_id = :tenant_id AND before.definition_id = :definition_id), 0) END
ON CONFLICT (tenant_id, definition_id, due_at) WHERE definition_id IS NOT NULL AND due_at IS NOT NULL DO NOTHING
RETURNING id;

-- name: hold_definition(tenant_id, definition_id)^
-- Let runs of one definition be numbered one after the other.
SELECT id FROM entities WHERE tenant_id = :tenant_id AND kind = 'run' AND id = :definition_id FOR UPDATE;

-- name: last_due(tenant_id, definition_id)^
-- The last instant of its schedule for which a definition has a run.
SELECT max(due_at) AS due_at FROM decision_runs WHERE tenant_id = :tenant_id AND definition_id = :definition_id;

-- name: list_runs(tenant_id, definition_id, row_count, after_number)
-- The runs of a definition with their jobs, newest first, before a number.
SELECT job.id, job.queue, job.type, job.status, job.attempts, decided.processed, run.total, job.error, job.result,
    job.created_at, job.started_at, job.finished_at, run.summary, run.definition_id, run.run_number, run.due_at,
    run.terms,
    (
        SELECT count(*) FROM decision_runs AS every
        WHERE every.tenant_id = run.tenant_id AND every.definition_id = run.definition_id
    ) AS total_count
FROM decision_runs AS run JOIN jobs AS job ON job.tenant_id = run.tenant_id AND job.id = run.id
CROSS JOIN LATERAL (
    SELECT CASE WHEN job.status = 'completed' THEN job.processed
        ELSE greatest(job.processed, coalesce(sum(chunk.decided_count), 0)) END AS processed
    FROM decision_run_chunks AS chunk
    WHERE chunk.tenant_id = run.tenant_id AND chunk.run_id = run.id
) AS decided
WHERE run.tenant_id = :tenant_id AND run.definition_id = :definition_id
    AND (:after_number::integer IS NULL OR run.run_number < :after_number)
ORDER BY run.run_number DESC
LIMIT :row_count;

-- name: insert_chunks(tenant_id, run_id, numbers, customers)!
-- Write some of a run's chunks.
INSERT INTO decision_run_chunks (tenant_id, run_id, number, customers, place_count)
SELECT :tenant_id, :run_id, given.number, given.customers, json_array_length(given.customers::json)
FROM unnest(:numbers::integer[], :customers::text[]) AS given (number, customers);

-- name: get_run(tenant_id, id)^
-- A run with its job.
SELECT job.id, job.queue, job.type, job.status, job.attempts, decided.processed, run.total, job.error, job.result,
    job.created_at, job.started_at, job.finished_at, run.summary, run.definition_id, run.run_number, run.due_at,
    run.terms
FROM decision_runs AS run JOIN jobs AS job ON job.tenant_id = run.tenant_id AND job.id = run.id
CROSS JOIN LATERAL (
    SELECT CASE WHEN job.status = 'completed' THEN job.processed
        ELSE greatest(job.processed, coalesce(sum(chunk.decided_count), 0)) END AS processed
    FROM decision_run_chunks AS chunk
    WHERE chunk.tenant_id = run.tenant_id AND chunk.run_id = run.id
) AS decided
WHERE run.tenant_id = :tenant_id AND run.id = :id;

-- name: open_run(tenant_id, id)^
-- What a worker has to know of a run before it goes on with it.
SELECT request, total, terms FROM decision_runs WHERE tenant_id = :tenant_id AND id = :id;

-- name: set_total(tenant_id, id, total)!
-- Say how many customers a segment's run has.
UPDATE decision_runs SET total = :total WHERE tenant_id = :tenant_id AND id = :id;

-- name: hold_run(tenant_id, run_id)^
-- Let chunks of a run be taken one after the other. A worker that hangs loses the lock with its connection.
SELECT id, set_config('idle_in_transaction_session_timeout', '15s', true) FROM decision_runs
WHERE tenant_id = :tenant_id AND id = :run_id
FOR NO KEY UPDATE;

-- name: claim_chunk(tenant_id, run_id, lease_token)^
-- Take the first chunk that is not decided and that nobody with a lease holds: neither who leads the run nor a helper.
WITH free AS (
    SELECT number FROM decision_run_chunks AS chunk
    WHERE tenant_id = :tenant_id AND run_id = :run_id
        AND coalesce(decided_count < place_count, true)
        AND NOT EXISTS (
            SELECT FROM jobs AS job
            WHERE job.tenant_id = chunk.tenant_id AND job.id = chunk.run_id AND job.lease_token = chunk.lease_token
                AND job.status = 'running' AND NOT kaireon_has_come(job.leased_until)
        )
        AND NOT EXISTS (
            SELECT FROM decision_run_helpers AS helper
            WHERE helper.tenant_id = chunk.tenant_id AND helper.run_id = chunk.run_id
                AND helper.lease_token = chunk.lease_token AND NOT kaireon_has_come(helper.leased_until)
        )
    ORDER BY number
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE decision_run_chunks AS chunk SET
    lease_token = :lease_token,
    place_count = coalesce(chunk.place_count, json_array_length(chunk.customers::json))
FROM free
WHERE chunk.tenant_id = :tenant_id AND chunk.run_id = :run_id AND chunk.number = free.number
RETURNING chunk.number;

-- name: recount_chunk(decided_count, tenant_id, run_id, number)!
-- Say how much of a chunk is decided, where somebody else than a holder has written results.
UPDATE decision_run_chunks SET decided_count = :decided_count
WHERE tenant_id = :tenant_id AND run_id = :run_id AND number = :number;

-- name: count_decided
-- Count what a holder has decided of a chunk; no row when the chunk was taken by somebody else.
UPDATE decision_run_chunks SET decided_count = decided_count + :decided_count::integer
WHERE tenant_id = :tenant_id::uuid AND run_id = :run_id::uuid AND number = :number::integer
    AND lease_token = :lease_token::uuid
RETURNING number;

-- name: stand_of_run(tenant_id, run_id)^
-- How many customers are decided, and whether that is all.
SELECT coalesce(sum(decided_count), 0)::bigint AS processed,
    coalesce(bool_and(coalesce(decided_count >= place_count, false)), true) AS is_complete
FROM decision_run_chunks
WHERE tenant_id = :tenant_id AND run_id = :run_id;

-- name: get_chunk(tenant_id, run_id, number, first_place, last_place)^
-- The customers of a chunk, and the places of those who have been decided.
SELECT chunk.customers, chunk.decided_count,
    ARRAY(
        SELECT result.place FROM decision_run_results AS result
        WHERE result.tenant_id = chunk.tenant_id AND result.run_id = chunk.run_id
            AND result.place BETWEEN :first_place AND :last_place
    ) AS decided
FROM decision_run_chunks AS chunk
WHERE chunk.tenant_id = :tenant_id AND chunk.run_id = :run_id AND chunk.number = :number;

-- name: insert_results
-- Write the results of customers, in the transaction of their decisions.
INSERT INTO decision_run_results (tenant_id, run_id, place, line, is_error, offer_ids, channel_ids)
SELECT
    :tenant_id::uuid, :run_id::uuid, given.place, given.line, given.is_error, given.offer_ids::uuid[],
    array_remove(given.channel_ids::uuid[], NULL)
FROM unnest(
    :places::integer[], :lines::text[], :errors::boolean[], :offer_ids::text[], :channel_ids::text[]
) AS given (place, line, is_error, offer_ids, channel_ids);

-- name: allow_long_statement^
-- A run's results are read once as a whole; nobody waits for that.
SELECT set_config('statement_timeout', '10min', true);

-- name: count_results(tenant_id, run_id)^
-- What a run has decided, in numbers.
SELECT count(*) AS processed,
    count(*) FILTER (WHERE is_error) AS failed,
    count(*) FILTER (WHERE cardinality(offer_ids) > 0) AS with_recommendations,
    coalesce(sum(cardinality(offer_ids)), 0)::bigint AS recommendations
FROM decision_run_results
WHERE tenant_id = :tenant_id AND run_id = :run_id;

-- name: count_offers(tenant_id, run_id)
-- How often a run has recommended each offer, the most frequent first.
SELECT offer.id::text AS id, count(*) AS count
FROM decision_run_results AS result CROSS JOIN unnest(result.offer_ids) AS offer (id)
WHERE result.tenant_id = :tenant_id AND result.run_id = :run_id
GROUP BY offer.id
ORDER BY count(*) DESC, offer.id;

-- name: count_channels(tenant_id, run_id)
-- How often a run has recommended something for each channel, the most frequent first.
SELECT channel.id::text AS id, count(*) AS count
FROM decision_run_results AS result CROSS JOIN unnest(result.channel_ids) AS channel (id)
WHERE result.tenant_id = :tenant_id AND result.run_id = :run_id
GROUP BY channel.id
ORDER BY count(*) DESC, channel.id;

-- name: finish_run(tenant_id, id, summary)!
-- Keep what was decided.
UPDATE decision_runs SET summary = :summary WHERE tenant_id = :tenant_id AND id = :id;

-- name: list_lines(tenant_id, run_id, after_place, row_count)
-- Results in the order of the list, after a place.
SELECT place, line FROM decision_run_results
WHERE tenant_id = :tenant_id AND run_id = :run_id AND place > :after_place
ORDER BY place
LIMIT :row_count;
