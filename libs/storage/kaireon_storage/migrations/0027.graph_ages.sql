-- How old imported graphs are, so that those of no model can go.
-- depends: 0026.stream_checkpoints

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE model_graph_parts ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();
