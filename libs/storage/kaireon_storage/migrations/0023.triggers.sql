-- Triggers: when each has fired, and for whom it may not yet fire again.
-- depends: 0021.graphs

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- What became of a firing is its job's row, which has the same id.
CREATE TABLE trigger_firings (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id uuid NOT NULL,
    trigger_id uuid NOT NULL,
    customer_id text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    action_type text NOT NULL,
    fired_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX trigger_firings_newest ON trigger_firings (tenant_id, trigger_id, fired_at DESC, id DESC);
CREATE INDEX trigger_firings_customer ON trigger_firings (tenant_id, customer_id);
CALL kaireon_protect('trigger_firings');

CREATE TABLE trigger_cooldowns (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    trigger_id uuid NOT NULL,
    customer_id text NOT NULL,
    fired_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, trigger_id, customer_id)
);
CREATE INDEX trigger_cooldowns_customer ON trigger_cooldowns (tenant_id, customer_id);
CALL kaireon_protect('trigger_cooldowns');
