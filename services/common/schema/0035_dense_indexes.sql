-- A graph that grew by inserts finds less, the larger it gets, than one that is built in one go with more neighbours of a node. So the
-- index of what serves is built anew beside itself: REINDEX CONCURRENTLY, which no function can run, by whoever may maintain the table.

-- Whether the index of a serving generation is sparser than it should be and has so many vectors, as far as the statistics know.
-- pgvector builds none that is searched for less than twice its neighbours while it is made.
create function embedder.is_outgrown(p_generation uuid, p_m int, p_rows_min bigint) returns boolean
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select exists (
    select from embedder.generation g
    join pg_class c on c.oid = to_regclass('embedder.' || embedder.partition_of(g.id))
    where g.id = p_generation and g.state = 'serving' and g.hnsw_m < p_m
      and g.hnsw_ef_construction >= 2 * p_m and c.reltuples >= p_rows_min);
$$;

-- Removes what a build has left that was broken off, sets how dense the index becomes when it is built anew, and returns its name.
-- Until then nothing changes: a graph is read and grows as it was built.
create function embedder.prepare_reindex(p_generation uuid, p_m int) returns text
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare partition text := embedder.partition_of(p_generation); each record;
begin
  for each in select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
              where i.indrelid = to_regclass('embedder.' || partition) and a.amname = 'hnsw' and not i.indisvalid
  loop
    execute format('drop index embedder.%I', each.relname);
  end loop;
  execute format('alter index embedder.%I set (m = %s)', partition || '_hnsw', p_m);
  execute format('grant maintain on embedder.%I to winnow_embedder', partition);
  return partition || '_hnsw';
end $$;

-- Notes that the index of a generation was built with so many neighbours of a node.
create function embedder.note_reindexed(p_generation uuid, p_m int) returns void
  language sql security definer set search_path = pg_catalog, public, pg_temp
as $$
  update embedder.generation set hnsw_m = p_m where id = p_generation;
$$;

alter function embedder.is_outgrown owner to winnow_spine;
alter function embedder.note_reindexed owner to winnow_spine;
revoke execute on function embedder.is_outgrown, embedder.prepare_reindex, embedder.note_reindexed from public;
grant execute on function embedder.is_outgrown, embedder.prepare_reindex, embedder.note_reindexed to winnow_embedder;
