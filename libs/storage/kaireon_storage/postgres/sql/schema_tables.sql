-- name: become_system^
-- Take the role that owns the tenants' tables, for the rest of the transaction.
SELECT set_config('role', 'kaireon_system', true);

-- name: become_tenant^
-- Go back to the role that row-level security binds to one tenant.
SELECT set_config('role', 'kaireon_app', true);

-- name: allow_minutes^
-- Let a bulk load or a long read take its time; everything else keeps the pool's limit.
SELECT set_config('statement_timeout', '10min', true);

-- name: allow_a_moment^
-- End what nobody should wait for.
SELECT set_config('statement_timeout', '2s', true);

-- name: protect_table!
-- Hold a new table to its tenant.
CALL kaireon_protect(to_regclass(:table));

-- name: table_size^
-- The bytes that a table and its indexes take on disk.
SELECT pg_total_relation_size(to_regclass(:table)) AS size_bytes;
