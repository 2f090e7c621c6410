-- The spine: workspaces, credentials, tasks and outgoing events, and the functions through which services use them.

create extension if not exists vector;
create extension if not exists pg_trgm;

create schema spine;
create schema ingest;
create schema extractor;
create schema embedder;

-- Roles are shared by all databases of a cluster, so they may exist already.
do $$
declare name text;
begin
  foreach name in array array['winnow_spine', 'winnow_relay', 'winnow_ingest', 'winnow_extractor', 'winnow_embedder', 'winnow_search', 'winnow_app'] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I nologin noinherit nosuperuser nobypassrls nocreatedb nocreaterole', name);
    end if;
  end loop;
  execute 'grant winnow_relay, winnow_ingest, winnow_extractor, winnow_embedder, winnow_search to winnow_app with inherit false, set true';
  execute format('grant winnow_spine to %I with inherit true, set true', current_user);
end $$;

create table spine.workspace (
  workspace_id uuid primary key default uuidv7(),
  name text not null unique,
  created_at timestamptz not null default now()
);

create table spine.api_key (
  workspace_id uuid not null references spine.workspace,
  id uuid not null default uuidv7(),
  prefix text not null unique,
  secret_sha256 bytea not null check (length(secret_sha256) = 32),
  name text not null,
  scopes text[] not null check (scopes <@ array['ingest', 'read', 'admin']),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  primary key (workspace_id, id)
);

-- One table is the outbox, the lease table, the backfill queue, the retry state and the list of dead letters.
create table spine.task (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  stage text not null,
  subject_id uuid not null,
  spec text not null check (length(spec) <= 512),
  state text not null default 'ready' check (state in ('ready', 'leased', 'done', 'dead')),
  attempts int not null default 0,
  fence bigint not null default 0,
  lease_owner uuid,
  lease_until timestamptz,
  available_at timestamptz not null default now(),
  -- When the relay should next publish a hint; null once the task has ended.
  hint_at timestamptz,
  hint_count int not null default 0,
  result_count int,
  error_class text,
  error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (workspace_id, id),
  unique (workspace_id, stage, subject_id, spec),
  check ((hint_at is null) = (state in ('done', 'dead'))),
  check ((lease_until is null) = (state <> 'leased'))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);

create index task_hint on spine.task (hint_at) where hint_at is not null;
create index task_open on spine.task (workspace_id, stage, state, id) where state <> 'done';

-- The stream that hints were last published to, known by when the broker made it: another one holds none of them.
create table spine.hint_stream (
  one boolean primary key default true check (one),
  created_at timestamptz not null
);

create table spine.event (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  fact text not null,
  payload bytea not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, id)
);

create function spine.current_workspace() returns uuid
  language sql stable parallel safe
  return nullif(current_setting('winnow.workspace_id', true), '')::uuid;

-- What an API key's public part belongs to; the caller compares the hash in constant time.
create function spine.find_api_key(p_prefix text)
  returns table (workspace_id uuid, id uuid, secret_sha256 bytea, scopes text[])
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select k.workspace_id, k.id, k.secret_sha256, k.scopes from spine.api_key k
  where k.prefix = p_prefix and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
end;

-- Makes tasks; a task that exists is left alone, or made ready again if it is done and p_reopen. Returns how many are new or reopened.
create function spine.enqueue(
  p_workspace uuid, p_stage text, p_subjects uuid[], p_specs text[],
  p_available_at timestamptz default now(), p_reopen boolean default false
) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with wanted as (select distinct u.subject_id, u.spec from unnest(p_subjects, p_specs) as u (subject_id, spec)),
  -- Two ways, because an update that changes nothing would still lock the tasks that others work on.
  made as (
    insert into spine.task (workspace_id, stage, subject_id, spec, available_at, hint_at)
    select p_workspace, p_stage, x.subject_id, x.spec, p_available_at, p_available_at
    from wanted x where not p_reopen order by x.subject_id, x.spec
    on conflict (workspace_id, stage, subject_id, spec) do nothing
    returning 1),
  made_or_reopened as (
    insert into spine.task as t (workspace_id, stage, subject_id, spec, available_at, hint_at)
    select p_workspace, p_stage, x.subject_id, x.spec, p_available_at, p_available_at
    from wanted x where p_reopen order by x.subject_id, x.spec
    on conflict (workspace_id, stage, subject_id, spec) do update
      set state = 'ready', attempts = 0, available_at = excluded.available_at, hint_at = excluded.hint_at, hint_count = 0,
          result_count = null, error_class = null, error = null, finished_at = null
      where t.state = 'done'
    returning 1)
  select (select count(*) from made) + (select count(*) from made_or_reopened);
end;

-- Takes up to p_limit tasks that are due for a hint, and schedules their next one: twice as long each time, at most p_again_max.
create function spine.take_hints(p_limit int, p_again interval, p_again_max interval)
  returns table (workspace_id uuid, id uuid, stage text)
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with due as (
    select t.workspace_id, t.id from spine.task t
    where t.hint_at <= now() order by t.hint_at limit p_limit for update skip locked)
  update spine.task t
  set hint_at = now() + least(p_again * power(2, least(t.hint_count, 16)), p_again_max), hint_count = t.hint_count + 1
  from due where t.workspace_id = due.workspace_id and t.id = due.id
  returning t.workspace_id, t.id, t.stage;
end;

-- Makes hints due again that could not be published; a task that somebody has leased meanwhile is left alone.
create function spine.return_hints(p_workspaces uuid[], p_ids uuid[]) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with returned as (
    update spine.task t set hint_at = greatest(t.available_at, now()), hint_count = greatest(t.hint_count - 1, 0)
    from (select r.workspace_id, r.id from spine.task r
          join unnest(p_workspaces, p_ids) as x (workspace_id, id) on x.workspace_id = r.workspace_id and x.id = r.id
          where r.state = 'ready' order by r.workspace_id, r.id for update of r skip locked) o
    where t.workspace_id = o.workspace_id and t.id = o.id
    returning 1)
  select count(*) from returned;
end;

-- Makes every open task due for a hint now, if the stream of hints is not the one that earlier hints went to.
create function spine.forget_hints(p_stream_created_at timestamptz) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with another as (
    insert into spine.hint_stream as s (created_at) values (p_stream_created_at)
    on conflict (one) do update set created_at = excluded.created_at where s.created_at <> excluded.created_at
    returning 1),
  forgotten as (
    update spine.task t set hint_at = greatest(t.available_at, now()), hint_count = 0
    from (select f.workspace_id, f.id from spine.task f where f.state = 'ready' and f.hint_at > now() and f.hint_count > 0
          and exists (select from another) order by f.workspace_id, f.id for update of f skip locked) o
    where t.workspace_id = o.workspace_id and t.id = o.id
    returning 1)
  select count(*) from forgotten;
end;

-- Leases the tasks among p_ids that are ready or whose lease has run out; one that was claimed too often dies instead.
create function spine.claim(p_workspace uuid, p_stage text, p_ids uuid[], p_owner uuid, p_lease interval, p_attempts_max int)
  returns table (id uuid, subject_id uuid, spec text, fence bigint, attempts int)
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with due as (
    select t.id from spine.task t
    where t.workspace_id = p_workspace and t.id = any (p_ids) and t.stage = p_stage
      and (t.state = 'ready' and t.available_at <= now() or t.state = 'leased' and t.lease_until < now())
    order by t.id for update skip locked),
  ended as (
    update spine.task t
    set state = 'dead', hint_at = null, lease_until = null, finished_at = now(),
        error_class = coalesce(t.error_class, 'abandoned'),
        error = coalesce(t.error, 'every attempt ended without a word: the worker died or its lease ran out')
    from due where t.workspace_id = p_workspace and t.id = due.id and t.attempts >= p_attempts_max
    returning t.id)
  update spine.task t
  set state = 'leased', fence = t.fence + 1, attempts = t.attempts + 1, lease_owner = p_owner,
      lease_until = now() + p_lease, hint_at = now() + p_lease
  from due where t.workspace_id = p_workspace and t.id = due.id and t.attempts < p_attempts_max
  returning t.id, t.subject_id, t.spec, t.fence, t.attempts;
end;

-- Extends the leases that are still held; a task that is not returned is lost and its work must stop.
create function spine.extend(p_workspace uuid, p_ids uuid[], p_fences bigint[], p_lease interval)
  returns table (id uuid)
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with held as (
    select t.id from spine.task t join unnest(p_ids, p_fences) as x (id, fence) on x.id = t.id and x.fence = t.fence
    where t.workspace_id = p_workspace and t.state = 'leased' order by t.id for update of t)
  update spine.task t set lease_until = now() + p_lease, hint_at = now() + p_lease
  from held where t.workspace_id = p_workspace and t.id = held.id
  returning t.id;
end;

-- Ends the tasks whose fence still holds; only the results of those returned may be written, in the same transaction.
create function spine.complete(p_workspace uuid, p_ids uuid[], p_fences bigint[], p_result_counts int[])
  returns table (id uuid)
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with held as (
    select t.id, x.result_count from spine.task t
    join unnest(p_ids, p_fences, p_result_counts) as x (id, fence, result_count) on x.id = t.id and x.fence = t.fence
    where t.workspace_id = p_workspace and t.state = 'leased' order by t.id for update of t)
  update spine.task t
  set state = 'done', result_count = held.result_count, hint_at = null, lease_until = null, finished_at = now(),
      error_class = null, error = null
  from held where t.workspace_id = p_workspace and t.id = held.id
  returning t.id;
end;

-- Records a failure that is the tasks' own: ready again after p_delay, or dead after p_attempts_max.
create function spine.fail(
  p_workspace uuid, p_ids uuid[], p_fences bigint[], p_error_class text, p_error text, p_delay interval, p_attempts_max int
) returns table (id uuid, dead boolean)
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with held as (
    select t.id, t.attempts >= p_attempts_max as ends from spine.task t
    join unnest(p_ids, p_fences) as x (id, fence) on x.id = t.id and x.fence = t.fence
    where t.workspace_id = p_workspace and t.state = 'leased' order by t.id for update of t)
  update spine.task t
  set state = case when held.ends then 'dead' else 'ready' end, lease_until = null,
      available_at = now() + p_delay, hint_at = case when held.ends then null else now() + p_delay end, hint_count = 0,
      finished_at = case when held.ends then now() end, error_class = p_error_class, error = left(p_error, 2000)
  from held where t.workspace_id = p_workspace and t.id = held.id
  returning t.id, held.ends;
end;

-- Gives tasks back without counting the attempt: the failure was not theirs.
create function spine.release(p_workspace uuid, p_ids uuid[], p_fences bigint[], p_delay interval, p_error_class text, p_error text)
  returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with held as (
    select t.id from spine.task t join unnest(p_ids, p_fences) as x (id, fence) on x.id = t.id and x.fence = t.fence
    where t.workspace_id = p_workspace and t.state = 'leased' order by t.id for update of t),
  released as (
    update spine.task t
    set state = 'ready', attempts = greatest(t.attempts - 1, 0), lease_until = null, hint_count = 0,
        available_at = now() + p_delay, hint_at = now() + p_delay,
        error_class = p_error_class, error = left(p_error, 2000)
    from held where t.workspace_id = p_workspace and t.id = held.id
    returning 1)
  select count(*) from released;
end;

-- Makes dead tasks ready with fresh attempts; counts only if p_dry_run.
create function spine.replay(p_workspace uuid, p_stage text, p_ids uuid[], p_dry_run boolean) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with chosen as (
    select t.id from spine.task t
    where t.workspace_id = p_workspace and t.state = 'dead' and (p_stage = '' or t.stage = p_stage)
      and (cardinality(p_ids) = 0 or t.id = any (p_ids))
    order by t.id for update),
  replayed as (
    update spine.task t
    set state = 'ready', attempts = 0, available_at = now(), hint_at = now(), hint_count = 0, finished_at = null
    from chosen where not p_dry_run and t.workspace_id = p_workspace and t.id = chosen.id
    returning 1)
  select case when p_dry_run then (select count(*) from chosen) else (select count(*) from replayed) end;
end;

-- Announces a fact to the outside, in the transaction that makes it true.
create function spine.announce(p_workspace uuid, p_fact text, p_payload bytea) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into spine.event (workspace_id, fact, payload) values (p_workspace, p_fact, p_payload);
end;

-- Locks the oldest facts that wait to be published; only kinds that the caller knows, since a newer release may announce more.
create function spine.take_events(p_limit int, p_facts text[])
  returns table (workspace_id uuid, id uuid, fact text, payload bytea, created_at timestamptz)
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select e.workspace_id, e.id, e.fact, e.payload, e.created_at from spine.event e
  where e.fact = any (p_facts) order by e.id limit p_limit for update skip locked;
end;

-- Forgets facts that were published.
create function spine.forget_events(p_ids uuid[]) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from spine.event e where e.id = any (p_ids);
end;
create index event_order on spine.event (id);

-- English stems for Latin words, Russian stems (which fit Ukrainian endings too) for Cyrillic ones, everything else whole.
create text search configuration spine.chat (copy = pg_catalog.simple);
alter text search configuration spine.chat
  alter mapping for asciiword, asciihword, hword_asciipart with english_stem;
alter text search configuration spine.chat
  alter mapping for word, hword, hword_part with russian_stem;

-- The words of a text as search sees them.
create function spine.words(p_text text) returns tsvector
  language sql immutable parallel safe strict
  return to_tsvector('spine.chat'::regconfig, normalize(p_text, NFKC));
