-- name: insert_check^
-- Store what a check has found.
INSERT INTO model_drift_checks (
    tenant_id, id, model_id, version, job_id, verdict, drift_detected, psi_score, ks_score, auc_delta, details
)
VALUES (
    :tenant_id, :id, :model_id, :version, :job_id, :verdict, :drift_detected, :psi_score, :ks_score, :auc_delta,
    :details
)
RETURNING id, model_id, version, verdict, drift_detected, psi_score, ks_score, auc_delta, details, checked_at;

-- name: newest_checks
-- The newest checks of a model.
SELECT id, model_id, version, verdict, drift_detected, psi_score, ks_score, auc_delta, details, checked_at
FROM model_drift_checks
WHERE tenant_id = :tenant_id AND model_id = :model_id
ORDER BY checked_at DESC, id DESC
LIMIT :limit;

-- name: check_of_job^
-- The check that a job has left.
SELECT id, model_id, version, verdict, drift_detected, psi_score, ks_score, auc_delta, details, checked_at
FROM model_drift_checks
WHERE tenant_id = :tenant_id AND job_id = :job_id;
