-- Who changed what: one chain of rows for each tenant, which is written only at its end.
-- depends: 0009.retention

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE audit_logs (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    -- Without gaps from 1 on: a row that is gone is missed.
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    logged_at timestamptz NOT NULL,
    action text NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    entity_name text NOT NULL,
    entity_version integer,
    -- json, not jsonb: the hash covers numbers as they were written.
    changes json NOT NULL,
    before json,
    after json,
    user_id text NOT NULL,
    user_name text NOT NULL,
    user_role text NOT NULL,
    request_id text,
    prev_hash text NOT NULL,
    integrity_hash text NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);
CREATE INDEX audit_logs_entity ON audit_logs (tenant_id, entity_type, entity_id, sequence DESC);
CREATE INDEX audit_logs_action ON audit_logs (tenant_id, action, sequence DESC);
CREATE INDEX audit_logs_time ON audit_logs (tenant_id, logged_at);
CALL kaireon_protect('audit_logs');
-- Append only, for tenants and the system alike; a tenant that is deleted takes its log along.
REVOKE UPDATE, DELETE ON audit_logs FROM kaireon_app, kaireon_system;

-- Where each chain ends, so that a tail that was cut off is missed too. Its row's lock puts a tenant's writers in line.
CREATE TABLE audit_heads (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    sequence bigint NOT NULL,
    integrity_hash text NOT NULL
);
CALL kaireon_protect('audit_heads');
REVOKE DELETE ON audit_heads FROM kaireon_app, kaireon_system;
