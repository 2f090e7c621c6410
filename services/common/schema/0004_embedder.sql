-- What texts mean. Written by the embedder alone.

-- All vectors that one model makes. Generations belong to the deployment; vectors to a workspace.
create table embedder.generation (
  id uuid primary key default uuidv7(),
  model text not null,
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  dimensions int not null check (dimensions between 1 and 4000),
  pooling text not null,
  query_prefix text not null default '',
  passage_prefix text not null default '',
  state text not null default 'building' check (state in ('building', 'serving', 'retired')),
  created_at timestamptz not null default now(),
  promoted_at timestamptz,
  unique (digest, pooling, query_prefix, passage_prefix)
);
create unique index generation_serving on embedder.generation (state) where state = 'serving';

-- A row a part of a text: part 0 stands for the whole. Filters need the few columns beside the vector, and none of them ever
-- changes: an indexed column that changes would put the row into the graph again.
create table embedder.vector (
  workspace_id uuid not null,
  generation_id uuid not null,
  kind text not null check (kind in ('message', 'atom', 'topic')),
  subject_id uuid not null,
  part int not null default 0,
  text_sha256 bytea not null check (length(text_sha256) = 32),
  embedding halfvec not null,
  source_id uuid not null,
  sent_at timestamptz not null,
  primary key (workspace_id, generation_id, kind, subject_id, part)
) partition by list (generation_id);

-- Makes a generation with its partition and HNSW index, or finds the same one; the first of a deployment serves at once.
create function embedder.open_generation(
  p_model text, p_digest text, p_dimensions int, p_pooling text, p_query_prefix text, p_passage_prefix text,
  p_m int default 16, p_ef_construction int default 64
) returns embedder.generation
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare found_one embedder.generation; partition text;
begin
  perform pg_advisory_xact_lock(hashtextextended('embedder.open_generation', 0));
  select * into found_one from embedder.generation g
  where g.digest = p_digest and g.pooling = p_pooling and g.query_prefix = p_query_prefix and g.passage_prefix = p_passage_prefix;
  if found then
    if found_one.dimensions <> p_dimensions then
      raise exception 'the generation of model % has % dimensions, not %', p_model, found_one.dimensions, p_dimensions
        using errcode = 'invalid_parameter_value';
    end if;
    return found_one;
  end if;
  insert into embedder.generation (model, digest, dimensions, pooling, query_prefix, passage_prefix, state, promoted_at)
  select p_model, p_digest, p_dimensions, p_pooling, p_query_prefix, p_passage_prefix,
    case when exists (select from embedder.generation where state = 'serving') then 'building' else 'serving' end,
    case when exists (select from embedder.generation where state = 'serving') then null else now() end
  returning * into found_one;
  partition := 'vector_' || replace(found_one.id::text, '-', '');
  execute format('create table embedder.%I partition of embedder.vector for values in (%L)', partition, found_one.id);
  execute format('alter table embedder.%I add check (vector_dims(embedding) = %s)', partition, p_dimensions);
  execute format('alter table embedder.%I enable row level security, force row level security', partition);
  execute format(
    'create index %I on embedder.%I using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops) with (m = %s, ef_construction = %s)',
    partition || '_hnsw', partition, p_dimensions, p_m, p_ef_construction);
  return found_one;
end $$;
