-- name: insert_log!
-- Store what a decision log is about; its parts follow in the same transaction.
INSERT INTO decision_logs (tenant_id, id, summary, created_at)
VALUES (:tenant_id, :id, :summary::jsonb, :created_at);

-- name: insert_log_part!
-- Store one part of a log.
INSERT INTO decision_log_parts (tenant_id, log_id, number, content)
VALUES (:tenant_id, :log_id, :number, :content);

-- name: get_log^
-- A log without its rows.
SELECT id, summary, created_at FROM decision_logs WHERE tenant_id = :tenant_id AND id = :id;

-- name: log_parts
-- The parts of a log in their order.
SELECT content FROM decision_log_parts WHERE tenant_id = :tenant_id AND log_id = :log_id ORDER BY number;

-- name: parts_of_all_logs
-- The parts of every log of the tenant.
SELECT log_id, number, content FROM decision_log_parts WHERE tenant_id = :tenant_id ORDER BY log_id, number;

-- name: replace_log_part!
-- Store a part of a log anew.
UPDATE decision_log_parts SET content = :content
WHERE tenant_id = :tenant_id AND log_id = :log_id AND number = :number;

-- name: delete_log_part!
-- Delete a part of a log.
DELETE FROM decision_log_parts WHERE tenant_id = :tenant_id AND log_id = :log_id AND number = :number;

-- name: replace_summary!
-- Say anew what a log is about.
UPDATE decision_logs SET summary = :summary::jsonb WHERE tenant_id = :tenant_id AND id = :id;

-- name: page_logs
-- One page of logs, newest first.
SELECT id, summary, created_at
FROM decision_logs
WHERE tenant_id = :tenant_id
ORDER BY created_at DESC, id DESC
LIMIT :limit OFFSET :offset;

-- name: count_logs^
-- How many logs all pages hold.
SELECT count(*) AS total FROM decision_logs WHERE tenant_id = :tenant_id;

-- name: delete_log!
-- Delete a log with its parts.
DELETE FROM decision_logs WHERE tenant_id = :tenant_id AND id = :id;

-- name: insert_evaluation!
-- Keep what an evaluation came to.
INSERT INTO off_policy_evaluations (tenant_id, id, model_id, flow_id, source, target, result, created_at)
VALUES (
    :tenant_id, :id, :model_id::uuid, :flow_id::uuid, :source::jsonb, :target::jsonb, :result::jsonb, :created_at
);

-- name: get_evaluation^
-- One evaluation.
SELECT id, model_id, flow_id, source, target, result, created_at
FROM off_policy_evaluations
WHERE tenant_id = :tenant_id AND id = :id;

-- name: page_evaluations
-- One page of evaluations, newest first: all, or those of a model or a flow.
SELECT id, model_id, flow_id, source, target, result, created_at
FROM off_policy_evaluations
WHERE tenant_id = :tenant_id
    AND (:model_id::uuid IS NULL OR model_id = :model_id)
    AND (:flow_id::uuid IS NULL OR flow_id = :flow_id)
ORDER BY created_at DESC, id DESC
LIMIT :limit OFFSET :offset;

-- name: count_evaluations^
-- How many evaluations all pages hold.
SELECT count(*) AS total
FROM off_policy_evaluations
WHERE tenant_id = :tenant_id
    AND (:model_id::uuid IS NULL OR model_id = :model_id)
    AND (:flow_id::uuid IS NULL OR flow_id = :flow_id);
