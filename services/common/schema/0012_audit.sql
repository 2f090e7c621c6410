-- Who changed what with an admin's rights, and what language models have cost a workspace today.

-- Owns functions that act for one workspace: unlike winnow_spine it sees no row of another.
do $$
begin
  if not exists (select from pg_roles where rolname = 'winnow_workspace') then
    create role winnow_workspace nologin noinherit nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
  execute format('grant winnow_workspace to %I with inherit true, set true', current_user);
end $$;
grant usage on schema spine, ingest, extractor, embedder to winnow_workspace;

-- One row a call or command; it is only ever completed, by what came of it.
create table spine.audit (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  begun_at timestamptz not null default now(),
  -- The API key that asked; null for a command with the owner's login.
  key_id uuid,
  -- The login to the database, of a service or of whoever ran a command.
  login text not null default session_user,
  -- Where the call came from, and the names in its certificate.
  peer text not null default '',
  action text not null,
  -- What was asked: ids, numbers and choices, but no text that a person wrote.
  request jsonb not null default '{}',
  ended_at timestamptz,
  -- A gRPC status; null while it runs, or if the process died in it.
  outcome text,
  primary key (workspace_id, id),
  check ((ended_at is null) = (outcome is null))
);
alter table spine.audit enable row level security;
alter table spine.audit force row level security;
create policy own_workspace on spine.audit
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
grant select, insert on spine.audit to winnow_workspace;
grant update (ended_at, outcome) on spine.audit to winnow_workspace;
grant select on spine.api_key to winnow_workspace;

create function spine.note_action(p_workspace uuid, p_key uuid, p_peer text, p_action text, p_request jsonb) returns uuid
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into spine.audit (workspace_id, key_id, peer, action, request)
  values (p_workspace, p_key, left(p_peer, 500), p_action, p_request) returning id;
end;

create function spine.end_action(p_workspace uuid, p_id uuid, p_outcome text) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  update spine.audit a set ended_at = now(), outcome = p_outcome
  where a.workspace_id = p_workspace and a.id = p_id and a.outcome is null;
end;

-- The newest first; from before p_before on if it is given.
create function spine.actions(p_workspace uuid, p_before uuid, p_limit int)
  returns table (id uuid, begun_at timestamptz, ended_at timestamptz, key_prefix text, key_name text, login text, peer text,
    action text, request jsonb, outcome text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select a.id, a.begun_at, a.ended_at, coalesce(k.prefix, ''), coalesce(k.name, ''), a.login, a.peer, a.action, a.request,
    coalesce(a.outcome, '')
  from spine.audit a left join spine.api_key k on k.workspace_id = a.workspace_id and k.id = a.key_id
  where a.workspace_id = p_workspace and (p_before is null or a.id < p_before)
  order by a.id desc limit p_limit;
end;

create index run_day on extractor.run (workspace_id, created_at) include (tokens_in, tokens_out);
grant select on extractor.run to winnow_workspace;

-- What language models have read and written since midnight, UTC.
create function spine.tokens_today(p_workspace uuid) returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(sum(r.tokens_in + r.tokens_out), 0)::bigint from extractor.run r
  where r.workspace_id = p_workspace and r.created_at >= date_trunc('day', now(), 'UTC');
end;

do $$
declare name text;
begin
  foreach name in array array['note_action(uuid, uuid, text, text, jsonb)', 'end_action(uuid, uuid, text)',
    'actions(uuid, uuid, int)', 'tokens_today(uuid)'] loop
    execute format('alter function spine.%s owner to winnow_workspace', name);
    execute format('revoke execute on function spine.%s from public', name);
    execute format('grant execute on function spine.%s to winnow_ingest, winnow_extractor, winnow_embedder, winnow_search', name);
  end loop;
end $$;
