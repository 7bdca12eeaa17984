-- Roles, tenants, keys, jobs, outbox: what every tier stands on.


SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Two roles without BYPASSRLS. A transaction takes one with set_config('role', ..., true):
-- kaireon_app sees one tenant (kaireon.tenant_id), kaireon_system sees all of them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'kaireon_app') THEN
        CREATE ROLE kaireon_app NOLOGIN NOBYPASSRLS;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'kaireon_system') THEN
        CREATE ROLE kaireon_system NOLOGIN NOBYPASSRLS;
    END IF;
    EXECUTE format('GRANT kaireon_app, kaireon_system TO %I', current_user);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO kaireon_system', current_database());
END
$$;
GRANT USAGE ON SCHEMA public TO kaireon_app, kaireon_system;

-- The tenant of the transaction, or null outside of one.
CREATE FUNCTION kaireon_tenant() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('kaireon.tenant_id', true), '')::uuid;

-- Row-level security for one table: kaireon_app is held to its tenant, kaireon_system is not.
CREATE PROCEDURE kaireon_protect(relation regclass)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format(
        'CREATE POLICY tenant_isolation ON %s TO kaireon_app USING (tenant_id = (SELECT kaireon_tenant()))', relation);
    EXECUTE format('CREATE POLICY system_access ON %s TO kaireon_system USING (true)', relation);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO kaireon_app, kaireon_system', relation);
END
$$;

CREATE TABLE tenants (
    tenant_id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    -- Raised by every write that changes what decisions are made from; processes poll it.
    config_version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
CALL kaireon_protect('tenants');

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'editor', 'viewer')),
    -- HMAC-SHA256 of the key under API_KEY_PEPPER; the key itself is shown once and never stored.
    key_hash bytea NOT NULL UNIQUE,
    prefix text NOT NULL,
    scopes text[] NOT NULL DEFAULT '{}',
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_reason text,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at DESC);
CALL kaireon_protect('api_keys');

-- Everything an operator configures: offers, creatives, channels, rules, policies, flows, models, ...
-- One table, because all of them are the same thing to storage: a named, versioned document of a kind.
CREATE TABLE entities (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    kind text NOT NULL,
    id uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    body jsonb NOT NULL,
    row_version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, kind, id)
);
CREATE UNIQUE INDEX entities_key ON entities (tenant_id, kind, key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX entities_name ON entities (tenant_id, kind, name)
    WHERE deleted_at IS NULL
    AND kind IN ('category', 'sub_category', 'channel', 'qualification_rule', 'contact_policy');
CREATE INDEX entities_list ON entities (tenant_id, kind, created_at DESC, id);
-- At most one champion per (tenant, family), also under two promotions at once.
CREATE UNIQUE INDEX entities_champion ON entities (tenant_id, (body ->> 'family'))
    WHERE kind = 'algorithm_model' AND deleted_at IS NULL AND body ->> 'registryStatus' = 'champion';
CALL kaireon_protect('entities');

-- Immutable: a published version of a flow.
CREATE TABLE flow_versions (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    config jsonb NOT NULL,
    notes text,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, flow_id, version)
);
CALL kaireon_protect('flow_versions');

-- Immutable: a trained version of a model. `state` is what scoring needs (features, categories, trees as text).
CREATE TABLE model_versions (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    model_id uuid NOT NULL,
    version integer NOT NULL,
    model_type text NOT NULL,
    state jsonb NOT NULL,
    metrics jsonb NOT NULL DEFAULT '{}',
    training jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, model_id, version)
);
CALL kaireon_protect('model_versions');

-- Background jobs. The row is the truth; a Celery message only says "look".
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    queue text NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    -- A second job with the same key is refused while the first is queued or running.
    dedupe_key text,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 5,
    lease_token uuid,
    leased_until timestamptz,
    -- When a queued job may run (back-off), and when its message was last sent to the broker.
    run_after timestamptz NOT NULL DEFAULT now(),
    announced_at timestamptz,
    is_cancel_requested boolean NOT NULL DEFAULT false,
    processed bigint NOT NULL DEFAULT 0,
    total bigint,
    error jsonb,
    result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX jobs_tenant ON jobs (tenant_id, created_at DESC, id);
CREATE INDEX jobs_due ON jobs (queue, run_after) WHERE status IN ('queued', 'running');
CREATE UNIQUE INDEX jobs_dedupe ON jobs (tenant_id, queue, dedupe_key) WHERE status IN ('queued', 'running');
CALL kaireon_protect('jobs');

-- Facts to be relayed, written in the transaction of the fact. Anyone may insert with SQL.
CREATE TABLE outbox_events (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    type text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    -- Commit order within one customer: drawn while the customer's row is locked.
    position bigint GENERATED ALWAYS AS IDENTITY,
    lane smallint GENERATED ALWAYS AS ((hashtext(tenant_id::text || key) & 63)::smallint) STORED
);
CREATE INDEX outbox_events_pending ON outbox_events (lane, position) WHERE status = 'pending';
CREATE INDEX outbox_events_sent ON outbox_events (sent_at) WHERE status = 'sent';
CALL kaireon_protect('outbox_events');

-- A publisher holds the row locks of the lanes that it relays: order per customer with any number of replicas,
-- and a killed publisher frees them with its connection.
CREATE TABLE outbox_lanes (lane smallint PRIMARY KEY);
INSERT INTO outbox_lanes SELECT generate_series(0, 63);
GRANT SELECT, UPDATE ON outbox_lanes TO kaireon_system;

CREATE TABLE outbox_dead_letters (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    type text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    error text NOT NULL,
    attempts integer NOT NULL,
    created_at timestamptz NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_dead_letters_tenant ON outbox_dead_letters (tenant_id, failed_at DESC, id);
CALL kaireon_protect('outbox_dead_letters');

-- The first successful answer under an idempotency key.
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    -- JSON as text: a replay answers the first body to the letter.
    response text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
CALL kaireon_protect('idempotency_keys');
