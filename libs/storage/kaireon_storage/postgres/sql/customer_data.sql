-- name: allow_long_statement^
-- Some of what names a customer is found by looking through documents; nobody waits for it.
SELECT set_config('statement_timeout', '10min', true);

-- name: erase_traces!
-- Delete decisions; that they were made is remembered, so that a replay can say what became of them.
WITH erased AS (
    DELETE FROM decision_traces
    WHERE tenant_id = :tenant_id AND customer_id = ANY(:ids::text[])
    RETURNING recommendation_id
)
INSERT INTO erased_decisions (tenant_id, recommendation_id)
SELECT :tenant_id::uuid, recommendation_id FROM erased
ON CONFLICT DO NOTHING;

-- name: is_erased^
-- Whether there was such a decision that was erased.
SELECT FROM erased_decisions WHERE tenant_id = :tenant_id AND recommendation_id = :id;

-- name: erase_sketches!
-- Take customers out of the sketches of dashboards: what is left of a sketch is one of the others.
UPDATE dashboard_sketches AS sketch
SET hashes = ARRAY(
    SELECT hash FROM unnest(sketch.hashes) AS hash
    WHERE hash <> ALL (ARRAY(SELECT hashtextextended(gone.id, 0) FROM unnest(:ids::text[]) AS gone (id)))
)
WHERE sketch.tenant_id = :tenant_id
    AND sketch.hashes && ARRAY(SELECT hashtextextended(gone.id, 0) FROM unnest(:ids::text[]) AS gone (id));

-- name: export_journey_steps
-- The steps that customers took in journeys.
SELECT to_jsonb(step) AS row
FROM journey_steps AS step
JOIN journey_enrollments AS enrolment
    ON enrolment.tenant_id = step.tenant_id AND enrolment.id = step.enrollment_id
WHERE step.tenant_id = :tenant_id AND enrolment.customer_id = ANY(:ids::text[])
ORDER BY step.enrollment_id, step.number;

-- name: erase_journey_steps!
-- Delete the steps that customers took in journeys.
DELETE FROM journey_steps AS step
USING journey_enrollments AS enrolment
WHERE step.tenant_id = :tenant_id AND enrolment.tenant_id = step.tenant_id AND enrolment.id = step.enrollment_id
    AND enrolment.customer_id = ANY(:ids::text[]);

-- name: export_run_requests
-- What was sent about customers for batch runs.
SELECT jsonb_build_object('runId', chunk.run_id, 'customer', item.customer) AS row
FROM decision_run_chunks AS chunk
CROSS JOIN LATERAL jsonb_array_elements(chunk.customers::jsonb) WITH ORDINALITY AS item (customer, place)
WHERE chunk.tenant_id = :tenant_id
    AND EXISTS (SELECT FROM unnest(:ids::text[]) AS given (id) WHERE strpos(chunk.customers, to_json(given.id)::text) > 0)
    AND item.customer ->> 'customerId' = ANY(:ids::text[])
ORDER BY chunk.run_id, chunk.number, item.place;

-- name: erase_run_requests!
-- Take customers out of batch runs. Their places stay, and count as done: nobody decides for them any more.
WITH named AS (
    SELECT chunk.run_id, chunk.number, item.place,
        (chunk.number * :chunk_size + item.place - 1)::integer AS position
    FROM decision_run_chunks AS chunk
    CROSS JOIN LATERAL jsonb_array_elements(chunk.customers::jsonb) WITH ORDINALITY AS item (customer, place)
    WHERE chunk.tenant_id = :tenant_id
        AND EXISTS (SELECT FROM unnest(:ids::text[]) AS given (id) WHERE strpos(chunk.customers, to_json(given.id)::text) > 0)
        AND item.customer ->> 'customerId' = ANY(:ids::text[])
), done AS (
    INSERT INTO decision_run_results (tenant_id, run_id, place, line, is_error, offer_ids, channel_ids)
    SELECT :tenant_id::uuid, run_id, position,
        '{"customerId":"erased","code":"ERASED","message":"this customer was erased"}', true, '{}', '{}'
    FROM named
    ON CONFLICT DO NOTHING
)
UPDATE decision_run_chunks AS chunk
SET customers = (
    SELECT jsonb_agg(
        CASE WHEN item.customer ->> 'customerId' = ANY(:ids::text[]) THEN '{"customerId": "erased"}' ELSE item.customer END
        ORDER BY item.place
    )::text
    FROM jsonb_array_elements(chunk.customers::jsonb) WITH ORDINALITY AS item (customer, place)
)
WHERE chunk.tenant_id = :tenant_id AND (chunk.run_id, chunk.number) IN (SELECT run_id, number FROM named);

-- name: export_run_results
-- What batch runs decided for customers.
SELECT jsonb_build_object('runId', run_id, 'result', line::jsonb) AS row
FROM decision_run_results
WHERE tenant_id = :tenant_id
    AND EXISTS (SELECT FROM unnest(:ids::text[]) AS given (id) WHERE strpos(line, to_json(given.id)::text) > 0)
    AND line::jsonb ->> 'customerId' = ANY(:ids::text[])
ORDER BY run_id, place;

-- name: erase_run_results!
-- Say in the results of batch runs that the customer was erased, instead of what was decided.
UPDATE decision_run_results
SET line = '{"customerId":"erased","code":"ERASED","message":"this customer was erased"}', is_error = true
WHERE tenant_id = :tenant_id
    AND EXISTS (SELECT FROM unnest(:ids::text[]) AS given (id) WHERE strpos(line, to_json(given.id)::text) > 0)
    AND line::jsonb ->> 'customerId' = ANY(:ids::text[]);

-- name: export_idempotent_answers
-- Answers that are kept for a day, to be given again under their idempotency key.
SELECT jsonb_build_object('key', key, 'answer', response::jsonb, 'createdAt', created_at) AS row
FROM idempotency_keys
WHERE tenant_id = :tenant_id
    AND EXISTS (SELECT FROM unnest(:ids::text[]) AS given (id) WHERE strpos(response, to_json(given.id)::text) > 0)
    AND response::jsonb ->> 'customerId' = ANY(:ids::text[])
ORDER BY key;

-- name: erase_idempotent_answers!
-- Delete answers to customers.
DELETE FROM idempotency_keys
WHERE tenant_id = :tenant_id
    AND EXISTS (SELECT FROM unnest(:ids::text[]) AS given (id) WHERE strpos(response, to_json(given.id)::text) > 0)
    AND response::jsonb ->> 'customerId' = ANY(:ids::text[]);

-- name: export_model_embeddings
-- What trained models have learned of customers by their id.
SELECT jsonb_build_object(
    'modelId', version.model_id, 'version', version.version, 'customerId', given.id,
    'embedding', version.state -> 'userEmbeddings' -> given.id) AS row
FROM model_versions AS version
JOIN unnest(:ids::text[]) AS given (id) ON version.state -> 'userEmbeddings' ? given.id
WHERE version.tenant_id = :tenant_id
ORDER BY version.model_id, version.version, given.id;

-- name: erase_model_embeddings!
-- Take customers out of trained models, which then know nothing of them, as of anybody new.
UPDATE model_versions
SET state = jsonb_set(state, '{userEmbeddings}', (state -> 'userEmbeddings') - :ids::text[])
WHERE tenant_id = :tenant_id AND state -> 'userEmbeddings' ?| :ids::text[];

-- name: export_written_embeddings
-- The same in models whose state was written by hand.
SELECT jsonb_build_object(
    'modelId', model.id, 'customerId', given.id,
    'embedding', model.body -> 'modelState' -> 'userEmbeddings' -> given.id) AS row
FROM entities AS model
JOIN unnest(:ids::text[]) AS given (id) ON model.body -> 'modelState' -> 'userEmbeddings' ? given.id
WHERE model.tenant_id = :tenant_id AND model.kind = 'algorithm_model'
ORDER BY model.id, given.id;

-- name: erase_written_embeddings!
-- The same in models whose state was written by hand.
UPDATE entities
SET body = jsonb_set(
    body, '{modelState,userEmbeddings}', (body -> 'modelState' -> 'userEmbeddings') - :ids::text[])
WHERE tenant_id = :tenant_id AND kind = 'algorithm_model' AND body -> 'modelState' -> 'userEmbeddings' ?| :ids::text[];

-- name: erase_exports!
-- Delete what was exported of customers before.
DELETE FROM dsar_exports WHERE tenant_id = :tenant_id AND customer_ids && :ids::text[];

-- name: holds
-- The data classes of a tenant that are on legal hold.
SELECT data_class FROM retention_configs WHERE tenant_id = :tenant_id AND legal_hold ORDER BY data_class;

-- name: schemas
-- The tenant's schemas.
SELECT body FROM entities WHERE tenant_id = :tenant_id AND kind = 'schema' AND deleted_at IS NULL ORDER BY key;

-- name: exported_sections
-- The sections of an export that are complete.
SELECT section, row_count, sha256 FROM dsar_exports
WHERE tenant_id = :tenant_id AND request_id = :request_id
ORDER BY section;

-- name: begin_section!
-- Begin a section of an export.
INSERT INTO dsar_exports (tenant_id, request_id, section, customer_ids, row_count, sha256)
VALUES (:tenant_id, :request_id, :section, :ids, 0, '');

-- name: add_part!
-- Store some rows of a section.
INSERT INTO dsar_export_parts (tenant_id, request_id, section, number, content)
VALUES (:tenant_id, :request_id, :section, :number, :content);

-- name: end_section!
-- Say what a section has come to.
UPDATE dsar_exports SET row_count = :row_count, sha256 = :sha256
WHERE tenant_id = :tenant_id AND request_id = :request_id AND section = :section;

-- name: get_part^
-- Some rows of a section.
SELECT content FROM dsar_export_parts
WHERE tenant_id = :tenant_id AND request_id = :request_id AND section = :section AND number = :number;

-- name: erasure_noted^
-- What an erasure came to that had committed when its worker was lost.
SELECT after FROM audit_logs
WHERE tenant_id = :tenant_id AND entity_type = 'dsar' AND entity_id = :request_id AND action = 'erase'
LIMIT 1;

-- name: page_requests
-- Requests about customers, newest first.
SELECT id, status, payload, created_at, finished_at FROM jobs
WHERE tenant_id = :tenant_id AND queue = 'dsar-jobs'
    AND (:statuses::text[] IS NULL OR status = ANY(:statuses))
    AND (:after_at::timestamptz IS NULL OR (created_at, id) < (:after_at, :after_id::uuid))
ORDER BY created_at DESC, id DESC
LIMIT :limit;

-- name: count_requests^
-- How many requests about customers there are.
SELECT count(*) AS total FROM jobs
WHERE tenant_id = :tenant_id AND queue = 'dsar-jobs' AND (:statuses::text[] IS NULL OR status = ANY(:statuses));

-- name: get_request^
-- One request about a customer.
SELECT id, status, payload, created_at, finished_at FROM jobs
WHERE tenant_id = :tenant_id AND queue = 'dsar-jobs' AND id = :id;

-- name: export_stream_events
-- Events of a stream that could not be taken, as they came.
SELECT jsonb_build_object('jobId', job.id, 'content', job.payload ->> 'content') AS row
FROM jobs AS job
WHERE job.tenant_id = :tenant_id AND job.queue = 'journey-jobs' AND job.type = 'stream_event'
    AND EXISTS (SELECT FROM unnest(:spellings::text[]) AS s (id) WHERE strpos(job.payload ->> 'content', s.id) > 0)
ORDER BY job.id;

-- name: erase_stream_events!
-- Delete events of a stream that could not be taken and name customers.
DELETE FROM jobs AS job
WHERE job.tenant_id = :tenant_id AND job.queue = 'journey-jobs' AND job.type = 'stream_event'
    AND EXISTS (SELECT FROM unnest(:spellings::text[]) AS s (id) WHERE strpos(job.payload ->> 'content', s.id) > 0);

-- name: export_approval_embeddings
-- The same in requests to write such a model.
SELECT jsonb_build_object(
    'approvalId', approval.id, 'customerId', given.id,
    'embedding', approval.payload -> 'modelState' -> 'userEmbeddings' -> given.id) AS row
FROM approvals AS approval
JOIN unnest(:ids::text[]) AS given (id) ON approval.payload -> 'modelState' -> 'userEmbeddings' ? given.id
WHERE approval.tenant_id = :tenant_id
ORDER BY approval.id, given.id;

-- name: erase_approval_embeddings!
-- The same in requests to write such a model.
UPDATE approvals
SET payload = jsonb_set(
    payload, '{modelState,userEmbeddings}', (payload -> 'modelState' -> 'userEmbeddings') - :ids::text[])
WHERE tenant_id = :tenant_id AND payload -> 'modelState' -> 'userEmbeddings' ?| :ids::text[];

-- name: export_trigger_jobs
-- Events that jobs of triggers hold, and facts that jobs let triggers know of.
SELECT jsonb_build_object('jobId', job.id, 'type', job.type, 'event', job.payload -> 'event') AS row
FROM jobs AS job
WHERE job.tenant_id = :tenant_id AND job.queue = 'journey-jobs' AND job.type = 'trigger_action'
    AND job.payload -> 'event' ->> 'customerId' = ANY(:ids::text[])
UNION ALL
SELECT jsonb_build_object('jobId', job.id, 'type', job.type, 'fact', fact.told)
FROM jobs AS job
CROSS JOIN LATERAL jsonb_array_elements(job.payload -> 'facts') AS fact (told)
WHERE job.tenant_id = :tenant_id AND job.queue = 'journey-jobs' AND job.type = 'react_to_facts'
    AND fact.told ->> 'customerId' = ANY(:ids::text[]);

-- name: erase_trigger_jobs!
-- Delete the jobs of triggers that hold events of customers, and take customers out of the facts that others hold.
WITH kept AS (
    UPDATE jobs AS job
    SET payload = jsonb_set(job.payload, '{facts}', (
        SELECT coalesce(jsonb_agg(fact.told), '[]')
        FROM jsonb_array_elements(job.payload -> 'facts') AS fact (told)
        WHERE NOT fact.told ->> 'customerId' = ANY(:ids::text[])
    ))
    WHERE job.tenant_id = :tenant_id AND job.queue = 'journey-jobs' AND job.type = 'react_to_facts'
        AND EXISTS (
            SELECT FROM jsonb_array_elements(job.payload -> 'facts') AS fact (told)
            WHERE fact.told ->> 'customerId' = ANY(:ids::text[])
        )
)
DELETE FROM jobs
WHERE tenant_id = :tenant_id AND queue = 'journey-jobs' AND type = 'trigger_action'
    AND payload -> 'event' ->> 'customerId' = ANY(:ids::text[]);
