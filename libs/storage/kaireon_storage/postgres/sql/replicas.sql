-- name: primary_position^
-- How far the primary's log has been written, in bytes.
SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS position;

-- name: replayed_position^
-- How far a replica has replayed the primary's log, in bytes; null where nothing is replayed.
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END AS position;
