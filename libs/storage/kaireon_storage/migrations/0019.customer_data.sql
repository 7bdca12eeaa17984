-- What is kept for how long, and what was handed out and erased at a customer's wish.
-- depends: 0018.search

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Where a tenant departs from its setting `retentionDays`; what is on hold is deleted by nobody.
CREATE TABLE retention_configs (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    data_class text NOT NULL,
    -- Null: as the tenant's settings say.
    retention_days integer CHECK (retention_days BETWEEN 1 AND 36500),
    legal_hold boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, data_class)
);
CALL kaireon_protect('retention_configs');

-- An export by section; its request is the job of this id.
CREATE TABLE dsar_exports (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    request_id uuid NOT NULL,
    section text NOT NULL,
    customer_ids text[] NOT NULL,
    row_count bigint NOT NULL,
    -- Of each row's canonical JSON followed by a line feed.
    sha256 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, request_id, section)
);
CREATE INDEX dsar_exports_age ON dsar_exports (created_at);
CALL kaireon_protect('dsar_exports');

-- Some thousand rows each: canonical JSON, one row a line.
CREATE TABLE dsar_export_parts (
    tenant_id uuid NOT NULL,
    request_id uuid NOT NULL,
    section text NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, request_id, section, number),
    FOREIGN KEY (tenant_id, request_id, section) REFERENCES dsar_exports (tenant_id, request_id, section)
        ON DELETE CASCADE
);
CALL kaireon_protect('dsar_export_parts');

-- That there was such a decision, and nothing else about it: its replay answers that its inputs are gone.
CREATE TABLE erased_decisions (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    recommendation_id uuid NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, recommendation_id)
);
CREATE INDEX erased_decisions_age ON erased_decisions (erased_at);
CALL kaireon_protect('erased_decisions');

-- Drops the monthly partitions of one table that ended at or before that instant.
CREATE FUNCTION kaireon_drop_months(parent text, before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE
    partition_name text;
    dropped integer := 0;
BEGIN
    IF parent NOT IN ('interactions', 'decision_traces') THEN
        RAISE EXCEPTION 'no partitions of % are dropped', parent;
    END IF;
    FOR partition_name IN
        SELECT child.relname
        FROM pg_inherits
        JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = parent::regclass
            AND child.relname ~ ('^' || parent || '_\d{4}_\d{2}$')
            AND (to_date(right(child.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= before
        ORDER BY child.relname
    LOOP
        EXECUTE format('DROP TABLE %I', partition_name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION kaireon_drop_months FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kaireon_drop_months TO kaireon_system;

-- Up to where a tenant's chain was cut by its retention, and the hash of the last row that went.
ALTER TABLE audit_heads ADD COLUMN trimmed_through bigint NOT NULL DEFAULT 0, ADD COLUMN trimmed_hash text;

-- Cuts off the beginning of a tenant's chain: the rows from before that instant, none in between.
CREATE FUNCTION kaireon_trim_audit(tenant uuid, kept_from timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE
    last_row record;
    deleted bigint;
BEGIN
    PERFORM FROM audit_heads WHERE tenant_id = tenant FOR UPDATE;
    SELECT sequence, integrity_hash INTO last_row
    FROM audit_logs
    WHERE tenant_id = tenant AND logged_at < kept_from
        AND sequence < coalesce(
            (SELECT min(sequence) FROM audit_logs WHERE tenant_id = tenant AND logged_at >= kept_from), 9223372036854775807)
    ORDER BY sequence DESC
    LIMIT 1;
    IF last_row IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM audit_logs WHERE tenant_id = tenant AND sequence <= last_row.sequence;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    UPDATE audit_heads SET trimmed_through = last_row.sequence, trimmed_hash = last_row.integrity_hash
    WHERE tenant_id = tenant;
    RETURN deleted;
END
$$;
REVOKE ALL ON FUNCTION kaireon_trim_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kaireon_trim_audit TO kaireon_system;
