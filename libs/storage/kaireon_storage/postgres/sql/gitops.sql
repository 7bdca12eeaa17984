-- name: forget_documents!
-- Forget what was applied last.
DELETE FROM gitops_documents WHERE tenant_id = :tenant_id;

-- name: keep_documents!
-- Keep what is applied now; `documents` is a JSON array of {kind, key, spec}.
INSERT INTO gitops_documents (tenant_id, kind, key, spec)
SELECT :tenant_id::uuid, given.kind, given.key, given.spec
FROM jsonb_to_recordset(:documents) AS given (kind text, key text, spec jsonb);

-- name: kept_documents
-- What was applied last.
SELECT kind, key, spec FROM gitops_documents WHERE tenant_id = :tenant_id ORDER BY kind, key;

-- name: tenants_with_documents
-- The tenants to whom something was applied.
SELECT DISTINCT tenant_id FROM gitops_documents ORDER BY tenant_id;
