-- Campaigns: which definition a run is of, for which instant of its schedule, and what holds for the run as a whole.
-- depends: 0021.graphs

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Null of a run that /decide has started.
ALTER TABLE decision_runs
    ADD COLUMN definition_id uuid,
    ADD COLUMN run_number integer,
    -- Null where somebody triggered it.
    ADD COLUMN due_at timestamptz,
    ADD COLUMN terms jsonb;
-- Empty when they are made: no run has a definition yet.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX decision_runs_number ON decision_runs (tenant_id, definition_id, run_number)
    WHERE definition_id IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX decision_runs_due ON decision_runs (tenant_id, definition_id, due_at)
    WHERE definition_id IS NOT NULL AND due_at IS NOT NULL;
