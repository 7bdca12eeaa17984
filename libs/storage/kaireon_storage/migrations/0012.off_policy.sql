-- Uploaded decision logs, and what evaluations of policies came to.
-- depends: 0010.audit

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE decision_logs (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id uuid NOT NULL,
    summary jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX decision_logs_newest ON decision_logs (tenant_id, created_at DESC, id DESC);
CALL kaireon_protect('decision_logs');

-- The rows of a log, some ten thousand to a part: MessagePack columns in a Zstandard frame.
CREATE TABLE decision_log_parts (
    tenant_id uuid NOT NULL,
    log_id uuid NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, log_id, number),
    FOREIGN KEY (tenant_id, log_id) REFERENCES decision_logs (tenant_id, id) ON DELETE CASCADE
);
-- It is compressed already.
ALTER TABLE decision_log_parts ALTER COLUMN content SET STORAGE EXTERNAL;
CALL kaireon_protect('decision_log_parts');

CREATE TABLE off_policy_evaluations (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id uuid NOT NULL,
    model_id uuid,
    flow_id uuid,
    source jsonb NOT NULL,
    target jsonb NOT NULL,
    result jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX off_policy_evaluations_newest ON off_policy_evaluations (tenant_id, created_at DESC, id DESC);
CREATE INDEX off_policy_evaluations_model ON off_policy_evaluations (tenant_id, model_id, created_at DESC);
CALL kaireon_protect('off_policy_evaluations');
