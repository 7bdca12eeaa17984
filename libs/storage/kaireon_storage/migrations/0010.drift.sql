-- What checks for drift have found.
-- depends: 0010.audit

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE model_drift_checks (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id uuid NOT NULL,
    model_id uuid NOT NULL,
    version integer NOT NULL,
    -- The job that made it, so that a job which is run again after a crash leaves one check.
    job_id uuid,
    verdict text NOT NULL CHECK (verdict IN ('none', 'monitor', 'alert')),
    drift_detected boolean NOT NULL,
    psi_score double precision,
    ks_score double precision,
    auc_delta double precision,
    details jsonb NOT NULL,
    checked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX model_drift_checks_model ON model_drift_checks (tenant_id, model_id, checked_at DESC, id DESC);
CREATE UNIQUE INDEX model_drift_checks_job ON model_drift_checks (tenant_id, job_id) WHERE job_id IS NOT NULL;
CALL kaireon_protect('model_drift_checks');
