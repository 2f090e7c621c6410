-- name: count_vectors
select count(*) from embedder.vector v where v.workspace_id = $1 and v.generation_id = '{generation}';

-- name: every_vector
-- Each with the snapshot that shows it, and with the start of the server that it is of; where there is none, these alone.
select s.snapshot, s.server, v.kind, v.subject_id, v.embedding
from (select pg_current_snapshot()::text as snapshot, pg_postmaster_start_time() as server) s
left join embedder.vector v on v.workspace_id = $1 and v.generation_id = '{generation}';

-- name: vectors_since
-- As every_vector, of those alone that were written since a snapshot: by its transactions after $2, or those of $3, which were under
-- way then. At most $4 of either. What was restored from a dump has numbers of another server, which are yet to come here.
select s.snapshot, s.server, v.kind, v.subject_id, v.embedding
from (select pg_current_snapshot()::text as snapshot, pg_postmaster_start_time() as server) s
left join (
  (select v.kind, v.subject_id, v.embedding from embedder.vector v
   where v.workspace_id = $1 and v.generation_id = '{generation}' and v.written >= $2::text::xid8
     and v.written < pg_snapshot_xmax(pg_current_snapshot())
   order by v.written limit $4::int)
  union all
  (select v.kind, v.subject_id, v.embedding from embedder.vector v
   where v.workspace_id = $1 and v.generation_id = '{generation}' and v.written = any ($3::text[]::xid8[]) limit $4::int)) v on true;
