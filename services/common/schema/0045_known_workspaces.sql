-- A workspace that PostgreSQL's statistics do not know is planned for as if it had one row, so that each of its rows is looked for among all
-- of them: with 3,000 messages beside 60,000 the gauges took 2.7 s instead of 56 ms, and to claim and complete 256 tasks 2 s instead of 80 ms.
-- By default a table is analyzed after a tenth of its rows has changed: the larger it is, the longer new workspaces go unknown. At most once
-- a minute, after as many rows as are quickly searched, costs all tables together 1.2 s of a processor.
create function spine.analyze_often(p_table regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('alter table %s set (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 500)', p_table);
end $$;
revoke execute on function spine.analyze_often from public;

select spine.analyze_often(c.oid)
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id'
where c.relkind = 'r' and c.relnamespace in ('spine'::regnamespace, 'ingest'::regnamespace, 'extractor'::regnamespace, 'embedder'::regnamespace);

-- As before, and the vectors of a new generation are analyzed as often.
create or replace function embedder.start_generation(
  p_model text, p_reference text, p_digest text, p_dimensions int, p_pooling text, p_query_prefix text, p_passage_prefix text,
  p_m int, p_ef_construction int, p_bulk boolean
) returns embedder.generation
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare found_one embedder.generation; partition text; serves boolean;
begin
  perform pg_advisory_xact_lock(hashtextextended('embedder.open_generation', 0));
  select * into found_one from embedder.generation g
  where g.digest = p_digest and g.pooling = p_pooling and g.query_prefix = p_query_prefix and g.passage_prefix = p_passage_prefix
    and g.state <> 'retired';
  if found then
    if found_one.dimensions <> p_dimensions then
      raise exception 'the generation of model % has % dimensions, not %', p_model, found_one.dimensions, p_dimensions
        using errcode = 'invalid_parameter_value';
    end if;
    return found_one;
  end if;
  serves := not exists (select from embedder.generation where state = 'serving');
  insert into embedder.generation (model, reference, digest, dimensions, pooling, query_prefix, passage_prefix, hnsw_m,
    hnsw_ef_construction, state, promoted_at)
  values (p_model, p_reference, p_digest, p_dimensions, p_pooling, p_query_prefix, p_passage_prefix, p_m, p_ef_construction,
    case when serves then 'serving' else 'building' end, case when serves then now() end)
  returning * into found_one;
  partition := embedder.partition_of(found_one.id);
  execute format('create table embedder.%I (like embedder.vector including defaults including constraints)', partition);
  perform spine.analyze_often(format('embedder.%I', partition)::regclass);
  execute format('alter table embedder.%I add check (vector_dims(embedding) = %s)', partition, p_dimensions);
  execute format('alter table embedder.%I enable row level security, force row level security', partition);
  if not p_bulk then
    execute format(
      'create index %I on embedder.%I using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops) with (m = %s, ef_construction = %s)',
      partition || '_hnsw', partition, p_dimensions, p_m, p_ef_construction);
  end if;
  execute format('alter table embedder.vector attach partition embedder.%I for values in (%L)', partition, found_one.id);
  return found_one;
end $$;
