-- A graph that grows by inserts and one that is built in one go are made with different breadths: each insert pays for it, a build hardly.
-- The breadth has a default, for replicas that are being replaced.

create or replace function embedder.is_outgrown(p_generation uuid, p_m int, p_rows_min bigint) returns boolean
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select exists (
    select from embedder.generation g
    join pg_class c on c.oid = to_regclass('embedder.' || embedder.partition_of(g.id))
    where g.id = p_generation and g.state = 'serving' and g.hnsw_m < p_m and c.reltuples >= p_rows_min);
$$;

drop function embedder.prepare_reindex(uuid, int);
create function embedder.prepare_reindex(p_generation uuid, p_m int, p_ef_construction int default 128) returns text
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare partition text := embedder.partition_of(p_generation); each record;
begin
  for each in select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
              where i.indrelid = to_regclass('embedder.' || partition) and a.amname = 'hnsw' and not i.indisvalid
  loop
    execute format('drop index embedder.%I', each.relname);
  end loop;
  execute format('alter index embedder.%I set (m = %s, ef_construction = %s)', partition || '_hnsw', p_m, p_ef_construction);
  execute format('grant maintain on embedder.%I to winnow_embedder', partition);
  return partition || '_hnsw';
end $$;

drop function embedder.note_reindexed(uuid, int);
create function embedder.note_reindexed(p_generation uuid, p_m int, p_ef_construction int default 128) returns void
  language sql security definer set search_path = pg_catalog, public, pg_temp
as $$
  update embedder.generation set hnsw_m = p_m, hnsw_ef_construction = p_ef_construction where id = p_generation;
$$;

alter function embedder.note_reindexed owner to winnow_spine;
revoke execute on function embedder.prepare_reindex, embedder.note_reindexed from public;
grant execute on function embedder.prepare_reindex, embedder.note_reindexed to winnow_embedder;
