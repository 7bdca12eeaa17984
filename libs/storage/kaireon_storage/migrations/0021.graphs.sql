-- The graphs of imported models, by the SHA-256 of their bytes.
-- depends: 0020.engagement_health

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Apart from the models that refer to them: a graph may have 100 MB, and nobody who reads models wants them.
CREATE TABLE model_graph_parts (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    hash text NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, hash, number)
);
CALL kaireon_protect('model_graph_parts');
