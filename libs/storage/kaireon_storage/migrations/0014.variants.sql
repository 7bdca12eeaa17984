-- For which variant of which experiment a decision was made: known of every decision, whatever the sampling of traces.
-- depends: 0010.audit

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Null outside experiments; of the tenant's control group the variant alone is known.
ALTER TABLE decision_traces ADD COLUMN experiment_key text, ADD COLUMN variant text;
-- Empty when it is made, and every decision outside an experiment stays out of it. A partitioned table has no other way.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX decision_traces_experiment ON decision_traces (tenant_id, experiment_key, decided_at)
    WHERE experiment_key IS NOT NULL;
