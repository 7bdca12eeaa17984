-- name: newest_versions
-- The newest version of each of these models.
SELECT DISTINCT ON (model_id) model_id, version, model_type, state, metrics, training, created_at
FROM model_versions
WHERE tenant_id = :tenant_id AND model_id = ANY(:model_ids::uuid[])
ORDER BY model_id, version DESC;

-- name: get_version^
-- One version of a model.
SELECT model_id, version, model_type, state, metrics, training, created_at
FROM model_versions
WHERE tenant_id = :tenant_id AND model_id = :model_id AND version = :version;

-- name: list_versions
-- Every version of a model without its state, newest first.
SELECT version, metrics, training, created_at
FROM model_versions
WHERE tenant_id = :tenant_id AND model_id = :model_id
ORDER BY version DESC;

-- name: version_of_job^
-- The version that a job has left.
SELECT version, metrics, training, created_at
FROM model_versions
WHERE tenant_id = :tenant_id AND model_id = :model_id AND training ->> 'jobId' = :job_id
ORDER BY version DESC
LIMIT 1;

-- name: insert_version^
-- Store the next version of a model; its writers stand in line behind the tenant's config_version.
INSERT INTO model_versions (tenant_id, model_id, version, model_type, state, metrics, training)
SELECT
    :tenant_id, :model_id, coalesce(max(version), 0) + 1, :model_type, :state::jsonb, :metrics::jsonb, :training::jsonb
FROM model_versions
WHERE tenant_id = :tenant_id AND model_id = :model_id
RETURNING version, metrics, training, created_at;

-- name: owners_of_model
-- The tenants, of all or the one named by id or key, that have a model with this key; two are enough to be ambiguous.
SELECT tenants.tenant_id
FROM tenants
INNER JOIN entities ON entities.tenant_id = tenants.tenant_id
WHERE (:tenant::text IS NULL OR tenants.tenant_id::text = :tenant OR tenants.key = :tenant)
    AND entities.kind = 'algorithm_model' AND entities.deleted_at IS NULL
    AND (entities.key = :model_key OR entities.id::text = :model_key)
LIMIT 2;
