-- name: insert_approval!
-- Store a request.
INSERT INTO approvals (
    tenant_id, id, entity_type, entity_id, entity_version, entity_name, action, payload, stages, status, requested_by,
    requested_by_name, created_at, expires_at
)
VALUES (
    :tenant_id, :id, :entity_type, :entity_id, :entity_version, :entity_name, :action, :payload, :stages, :status,
    :requested_by, :requested_by_name, :created_at, :expires_at
);

-- name: get_approval^
-- One request.
SELECT id, entity_type, entity_id, entity_version, entity_name, action, payload, stages, status, requested_by,
    requested_by_name, created_at, expires_at, decided_at, used_at
FROM approvals
WHERE tenant_id = :tenant_id AND id = :id;

-- name: page_approvals
-- Requests of a status, newest first.
SELECT id, entity_type, entity_id, entity_version, entity_name, action, payload, stages, status, requested_by,
    requested_by_name, created_at, expires_at, decided_at, used_at
FROM approvals
WHERE tenant_id = :tenant_id AND status = :status
    AND (:after_id::uuid IS NULL OR (created_at, id) < (:after_at::timestamptz, :after_id))
ORDER BY created_at DESC, id DESC
LIMIT :limit;

-- name: count_approvals^
-- How many requests have a status.
SELECT count(*) AS total
FROM approvals
WHERE tenant_id = :tenant_id AND status = :status;

-- name: update_approval!
-- Note how far a request is.
UPDATE approvals
SET entity_id = :entity_id, stages = :stages, status = :status, expires_at = :expires_at, decided_at = :decided_at,
    used_at = :used_at
WHERE tenant_id = :tenant_id AND id = :id;

-- name: stored_settings^
-- What the tenant has set; its row is locked by whoever writes.
SELECT settings FROM tenants WHERE tenant_id = :tenant_id;

-- name: publish_approval^
-- The oldest approval, not used yet, of publishing a flow as it is in this version.
SELECT id, entity_type, entity_id, entity_version, entity_name, action, payload, stages, status, requested_by,
    requested_by_name, created_at, expires_at, decided_at, used_at
FROM approvals
WHERE tenant_id = :tenant_id AND status = 'approved' AND entity_type = 'decisionFlow' AND action = 'publish'
    AND entity_id = :flow_id AND entity_version = :row_version AND used_at IS NULL AND expires_at > now()
ORDER BY created_at, id
LIMIT 1;

-- name: tenants_with_due_approvals
-- The tenants that have requests whose time is over.
SELECT DISTINCT tenant_id
FROM approvals
WHERE status IN ('pending', 'approved') AND used_at IS NULL AND expires_at <= :now
    AND (status = 'pending' OR action = 'publish');

-- name: due_approvals
-- The requests of a tenant whose time is over.
SELECT id, entity_type, entity_id, entity_version, entity_name, action, payload, stages, status, requested_by,
    requested_by_name, created_at, expires_at, decided_at, used_at
FROM approvals
WHERE tenant_id = :tenant_id AND status IN ('pending', 'approved') AND used_at IS NULL AND expires_at <= :now
    AND (status = 'pending' OR action = 'publish')
ORDER BY created_at, id;
