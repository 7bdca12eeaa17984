-- name: insert_graph_part!
-- Keep a part of a graph's bytes; a graph that is kept already has all of them, and counts as new.
INSERT INTO model_graph_parts (tenant_id, hash, number, content)
VALUES (:tenant_id, :hash, :number, :content)
ON CONFLICT (tenant_id, hash, number) DO UPDATE SET created_at = now();

-- name: graph_parts
-- The bytes of a graph, in their order.
SELECT content FROM model_graph_parts WHERE tenant_id = :tenant_id AND hash = :hash ORDER BY number;
