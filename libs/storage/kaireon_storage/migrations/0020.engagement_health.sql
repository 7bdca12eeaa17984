-- How engaged each customer is, worked out every night.
-- depends: 0019.customer_data

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE engagement_health (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    customer_id text NOT NULL,
    score double precision NOT NULL,
    recency double precision NOT NULL,
    frequency double precision NOT NULL,
    positivity double precision NOT NULL,
    -- Responses in 30 days; positive and negative ones in 90.
    responses integer NOT NULL,
    positive integer NOT NULL,
    negative integer NOT NULL,
    last_response_at timestamptz,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, customer_id)
);
CALL kaireon_protect('engagement_health');
