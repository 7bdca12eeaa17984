-- Customers, interactions, traces: what decisions read and write.
-- depends: 0001.platform

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- One row per customer that was ever decided for or responded; `version` orders its commits.
CREATE TABLE customers (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    customer_id text NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    -- The last number given to an interaction of this customer.
    sequence bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, customer_id)
);
CALL kaireon_protect('customers');

-- What was shown and answered. kind: impression | outcome.
CREATE TABLE interactions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    customer_id text NOT NULL,
    kind text NOT NULL,
    outcome_key text,
    classification text,
    direction text,
    offer_id uuid,
    creative_id uuid,
    channel_id uuid,
    placement_id uuid,
    recommendation_id uuid,
    rank smallint,
    score double precision,
    conversion_value double precision,
    details jsonb,
    PRIMARY KEY (tenant_id, occurred_at, id)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX interactions_customer ON interactions (tenant_id, customer_id, occurred_at DESC);
CREATE INDEX interactions_recommendation ON interactions (tenant_id, recommendation_id);
CREATE TABLE interactions_default PARTITION OF interactions DEFAULT;
CALL kaireon_protect('interactions');

-- Aggregates per customer, maintained in the transaction of the interaction.
-- 00000000-... stands for "none" in offer, creative and channel, so that they can be a key.
CREATE TABLE interaction_summaries (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    customer_id text NOT NULL,
    offer_id uuid NOT NULL,
    creative_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    period_type text NOT NULL CHECK (period_type IN ('daily', 'alltime')),
    period_key text NOT NULL,
    impressions integer NOT NULL DEFAULT 0,
    positive integer NOT NULL DEFAULT 0,
    negative integer NOT NULL DEFAULT 0,
    neutral integer NOT NULL DEFAULT 0,
    converts integer NOT NULL DEFAULT 0,
    total_value double precision NOT NULL DEFAULT 0,
    last_contact_at timestamptz,
    last_outcome_key text,
    direction text,
    PRIMARY KEY (tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id)
);
CALL kaireon_protect('interaction_summaries');

CREATE TABLE suppressions (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    customer_id text NOT NULL,
    policy_id uuid NOT NULL,
    scope text NOT NULL,
    scope_id text NOT NULL,
    policy_type text NOT NULL,
    reason text NOT NULL,
    trigger_count integer NOT NULL DEFAULT 1,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, customer_id, policy_id, scope, scope_id)
);
CREATE INDEX suppressions_expiry ON suppressions (expires_at);
CALL kaireon_protect('suppressions');

-- Content-addressed inputs and legends that traces refer to: 'snapshot' (catalogue, flow, rules, policies)
-- and 'legend' (the candidate table and reason table of a compiled flow).
CREATE TABLE snapshots (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    hash bytea NOT NULL,
    kind text NOT NULL CHECK (kind IN ('snapshot', 'legend')),
    content bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, hash)
);
CALL kaireon_protect('snapshots');

-- One row per decision: what was recommended, one array element per rank, and how that came about: `content`, columnar
-- (reasons, scores) and compressed, null with its hashes unless the decision was traced.
-- A recommendation id is a UUIDv7 that carries the instant of the decision: with it one partition is enough to look at.
CREATE TABLE decision_traces (
    tenant_id uuid NOT NULL,
    recommendation_id uuid NOT NULL,
    decided_at timestamptz NOT NULL,
    customer_id text NOT NULL,
    flow_id uuid NOT NULL,
    flow_version integer NOT NULL,
    offer_ids uuid[] NOT NULL DEFAULT '{}',
    creative_ids uuid[] NOT NULL DEFAULT '{}',
    channel_ids uuid[] NOT NULL DEFAULT '{}',
    placement_ids uuid[] NOT NULL DEFAULT '{}',
    scores double precision[] NOT NULL DEFAULT '{}',
    details jsonb,
    legend_hash bytea,
    snapshot_hash bytea,
    content bytea,
    PRIMARY KEY (tenant_id, decided_at, recommendation_id)
) PARTITION BY RANGE (decided_at);
CREATE INDEX decision_traces_customer ON decision_traces (tenant_id, customer_id, decided_at DESC);
CREATE TABLE decision_traces_default PARTITION OF decision_traces DEFAULT;
CALL kaireon_protect('decision_traces');

-- Monthly partitions of both tables for every month that touches [first_at, last_at].
CREATE FUNCTION kaireon_ensure_partitions(first_at timestamptz, last_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month date;
    partition_name text;
    created integer := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['interactions', 'decision_traces'] LOOP
        month := date_trunc('month', first_at AT TIME ZONE 'UTC')::date;
        WHILE month <= (last_at AT TIME ZONE 'UTC')::date LOOP
            partition_name := format('%s_%s', parent, to_char(month, 'YYYY_MM'));
            IF to_regclass(partition_name) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', partition_name, parent,
                    to_char(month, 'YYYY-MM-DD"T00:00:00Z"'),
                    to_char(month + interval '1 month', 'YYYY-MM-DD"T00:00:00Z"'));
                created := created + 1;
            END IF;
            month := month + interval '1 month';
        END LOOP;
    END LOOP;
    RETURN created;
END
$$;
REVOKE ALL ON FUNCTION kaireon_ensure_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kaireon_ensure_partitions TO kaireon_system;
SELECT kaireon_ensure_partitions(now() - interval '13 months', now() + interval '3 months');
