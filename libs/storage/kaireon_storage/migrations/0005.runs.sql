-- Batch runs: the decisions of many customers, made by the worker.
-- depends: 0002.decisions

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- A run is what its job is about, and has its id. Where it stands is the job's row.
CREATE TABLE decision_runs (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id uuid NOT NULL,
    -- What was asked for, without the customers.
    request jsonb NOT NULL,
    -- Null until a segment has been read.
    total integer,
    -- What was decided, once every customer was.
    summary jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX decision_runs_age ON decision_runs (tenant_id, created_at);
CALL kaireon_protect('decision_runs');

-- The customers of a run in the order of the list: every chunk but the last holds equally many.
CREATE TABLE decision_run_chunks (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    number integer NOT NULL,
    -- JSON as text: what was sent is decided from to the letter.
    customers text NOT NULL,
    PRIMARY KEY (tenant_id, run_id, number),
    FOREIGN KEY (tenant_id, run_id) REFERENCES decision_runs (tenant_id, id) ON DELETE CASCADE
);
CALL kaireon_protect('decision_run_chunks');

-- One row per customer, written in the transaction of the decision: the customers without one are what is left to do.
CREATE TABLE decision_run_results (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    -- The customer's place in the list, from 0.
    place integer NOT NULL,
    -- The result or the error as it is downloaded: JSON on one line.
    line text NOT NULL,
    is_error boolean NOT NULL,
    offer_ids uuid[] NOT NULL,
    channel_ids uuid[] NOT NULL,
    PRIMARY KEY (tenant_id, run_id, place),
    FOREIGN KEY (tenant_id, run_id) REFERENCES decision_runs (tenant_id, id) ON DELETE CASCADE
);
CALL kaireon_protect('decision_run_results');
