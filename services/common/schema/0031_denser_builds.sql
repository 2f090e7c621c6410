-- An index that is built in one go may have more neighbours than one that is filled row by row: it costs a third as much a vector.
create function embedder.build_index(p_generation uuid, p_memory_mb int, p_m int) returns boolean
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare g embedder.generation; partition text := embedder.partition_of(p_generation); each record; acted boolean := false;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('embedder.build_index:' || p_generation::text, 0)) then
    return false;
  end if;
  select * into g from embedder.generation where id = p_generation and state <> 'retired';
  if not found or to_regclass('embedder.' || partition) is null then
    return false;
  end if;
  for each in select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
              where i.indrelid = to_regclass('embedder.' || partition) and a.amname = 'hnsw' and not i.indisvalid
  loop
    execute format('drop index embedder.%I', each.relname);
    acted := true;
  end loop;
  if not exists (select from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
                 where i.indrelid = to_regclass('embedder.' || partition) and a.amname = 'hnsw') then
    perform set_config('maintenance_work_mem', p_memory_mb || 'MB', true);
    execute format(
      'create index %I on embedder.%I using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops) with (m = %s, ef_construction = %s)',
      partition || '_hnsw', partition, g.dimensions, greatest(g.hnsw_m, p_m), g.hnsw_ef_construction);
    acted := true;
  end if;
  return acted;
end $$;

-- As services of earlier releases call it.
create or replace function embedder.build_index(p_generation uuid, p_memory_mb int) returns boolean
  language sql security definer set search_path = pg_catalog, public, pg_temp
as $$ select embedder.build_index(p_generation, p_memory_mb, 0) $$;

revoke execute on function embedder.build_index(uuid, int, int) from public;
grant execute on function embedder.build_index(uuid, int, int) to winnow_embedder;
