-- Interactions that a store beside Postgres does not have yet, and how far copies between stores have come.
-- depends: 0023.triggers

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Written with the interaction, deleted once every store has it; whoever finds a row that is due writes it again.
-- None are written unless there is such a store (INTERACTION_STORE).
CREATE TABLE interaction_marks (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    customer_id text NOT NULL,
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (tenant_id, customer_id, id)
);
CREATE INDEX interaction_marks_due ON interaction_marks (due_at);
CALL kaireon_protect('interaction_marks');

-- One row for each copy, of every tenant: a copy that was interrupted goes on where it was.
CREATE TABLE interaction_copies (
    source text NOT NULL,
    target text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    -- Where the source is read next; null at the beginning, and when the end was reached.
    cursor text,
    copied bigint NOT NULL DEFAULT 0,
    finished_at timestamptz,
    PRIMARY KEY (source, target)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON interaction_copies TO kaireon_system;
