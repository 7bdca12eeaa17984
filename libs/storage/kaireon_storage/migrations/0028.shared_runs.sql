-- Batch runs that several workers decide: who holds which chunk, and who helps.
-- depends: 0027.graph_ages

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Whether others may help whoever leads the run.
ALTER TABLE decision_runs ADD COLUMN is_shared boolean NOT NULL DEFAULT false;

ALTER TABLE decision_run_chunks
    -- Null until the chunk is taken, where an earlier release wrote it.
    ADD COLUMN place_count integer,
    -- Raised in the transaction of the results: the chunks of a run are its progress.
    ADD COLUMN decided_count integer NOT NULL DEFAULT 0,
    -- Of the job or the helper that took the chunk last; it holds it for as long as that lease does.
    ADD COLUMN lease_token uuid;

-- Workers that help with a run at the moment. One that was killed frees its chunks by not renewing its row.
CREATE TABLE decision_run_helpers (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    lease_token uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, lease_token),
    FOREIGN KEY (tenant_id, run_id) REFERENCES decision_runs (tenant_id, id) ON DELETE CASCADE
);
CALL kaireon_protect('decision_run_helpers');
