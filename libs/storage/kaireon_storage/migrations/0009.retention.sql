-- Partitions come and go: what the nightly clean-up calls, and how often the outbox is vacuumed.
-- depends: 0003.tallies 0006.experiments

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Every relayed event leaves a dead row version: without this they would pile up to a fifth of the table.
ALTER TABLE outbox_events SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);

-- Monthly partitions of both tables for every month that touches [first_at, last_at]. Rows of such a month that are
-- already there, because a caller gave an instant in the future, move in from the default partition.
CREATE OR REPLACE FUNCTION kaireon_ensure_partitions(first_at timestamptz, last_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE
    parent text;
    instant_column text;
    month date;
    partition_name text;
    bounds text;
    created integer := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['interactions', 'decision_traces'] LOOP
        instant_column := CASE parent WHEN 'interactions' THEN 'occurred_at' ELSE 'decided_at' END;
        month := date_trunc('month', first_at AT TIME ZONE 'UTC')::date;
        WHILE month <= (last_at AT TIME ZONE 'UTC')::date LOOP
            partition_name := format('%s_%s', parent, to_char(month, 'YYYY_MM'));
            IF to_regclass(partition_name) IS NULL THEN
                bounds := format('FROM (%L) TO (%L)', to_char(month, 'YYYY-MM-DD"T00:00:00Z"'),
                    to_char(month + interval '1 month', 'YYYY-MM-DD"T00:00:00Z"'));
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', partition_name, parent);
                EXECUTE format(
                    'WITH early AS (DELETE FROM %I WHERE %I >= %L AND %I < %L RETURNING *) '
                    'INSERT INTO %I SELECT * FROM early',
                    parent || '_default',
                    instant_column, to_char(month, 'YYYY-MM-DD"T00:00:00Z"'),
                    instant_column, to_char(month + interval '1 month', 'YYYY-MM-DD"T00:00:00Z"'),
                    partition_name);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES %s', parent, partition_name, bounds);
                created := created + 1;
            END IF;
            month := month + interval '1 month';
        END LOOP;
    END LOOP;
    RETURN created;
END
$$;

-- Drops the monthly partitions of both tables that ended at or before that instant.
CREATE FUNCTION kaireon_drop_partitions(before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE
    partition_name text;
    dropped integer := 0;
BEGIN
    FOR partition_name IN
        SELECT child.relname
        FROM pg_inherits
        JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent IN ('interactions'::regclass, 'decision_traces'::regclass)
            AND child.relname ~ '^(interactions|decision_traces)_\d{4}_\d{2}$'
            AND (to_date(right(child.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= before
        ORDER BY child.relname
    LOOP
        EXECUTE format('DROP TABLE %I', partition_name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION kaireon_drop_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kaireon_drop_partitions TO kaireon_system;
