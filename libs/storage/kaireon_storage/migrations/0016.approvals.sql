-- Requests to change something, and who let them pass.
-- depends: 0015.schedule_leases

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE approvals (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id uuid NOT NULL,
    entity_type text NOT NULL,
    -- Null until a request to create something is granted.
    entity_id text,
    -- The row version that was asked for, of a thing that is there.
    entity_version integer,
    entity_name text NOT NULL,
    action text NOT NULL CHECK (action IN ('create', 'update', 'delete', 'publish')),
    payload jsonb NOT NULL,
    -- In their order: [{"stageName", "requiredRole", "status", "decidedBy", "decidedByName", "decidedAt", "comments"}].
    stages jsonb NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'expired')),
    requested_by text NOT NULL,
    requested_by_name text NOT NULL,
    created_at timestamptz NOT NULL,
    -- Until then it may be decided, or what was approved may be published.
    expires_at timestamptz NOT NULL,
    decided_at timestamptz,
    -- When its one publication was made.
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX approvals_newest ON approvals (tenant_id, status, created_at DESC, id DESC);
CREATE INDEX approvals_open ON approvals (expires_at) WHERE status IN ('pending', 'approved') AND used_at IS NULL;
CALL kaireon_protect('approvals');
