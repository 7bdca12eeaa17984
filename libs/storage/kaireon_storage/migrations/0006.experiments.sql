-- Which variant of an experiment a customer was assigned to.
-- depends: 0002.decisions

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE variant_assignments (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    customer_id text NOT NULL,
    experiment_key text NOT NULL,
    variant text NOT NULL,
    assigned_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, experiment_key)
);
CREATE INDEX variant_assignments_expiry ON variant_assignments (expires_at);
CALL kaireon_protect('variant_assignments');
