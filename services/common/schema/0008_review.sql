-- What people say of atoms: judgements, edits and withdrawals, which outlast every later reading of the conversation.

alter table extractor.atom
  add column origin text not null default 'extraction' check (origin in ('extraction', 'person')),
  -- Set when a person says that it was wrong from the start; it is then retired too, and kept so that no reading brings it back.
  add column invalidated_at timestamptz;

alter table extractor.atom_version
  add column origin text not null default 'extraction' check (origin in ('extraction', 'person')),
  -- A person's version comes from no run.
  alter column run_id drop not null;

create table extractor.review (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  atom_id uuid not null,
  -- The version that was judged, or that the edit made.
  version int not null,
  verdict text not null check (verdict in ('proposed', 'approved', 'rejected', 'edited', 'invalidated')),
  reason text not null,
  -- The API key it came with.
  key_id uuid not null,
  request_id uuid,
  request_sha256 bytea not null check (length(request_sha256) = 32),
  created_at timestamptz not null default now(),
  primary key (workspace_id, id),
  foreign key (workspace_id, atom_id) references extractor.atom (workspace_id, id)
);
create index review_atom on extractor.review (workspace_id, atom_id, version, id);
create unique index review_request on extractor.review (workspace_id, request_id) where request_id is not null;

alter table extractor.review enable row level security;
alter table extractor.review force row level security;
create policy own_workspace on extractor.review
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
create policy spine_sees_all on extractor.review to winnow_spine using (true) with check (true);
grant select on extractor.review to winnow_spine;
grant select, insert, update, delete on extractor.review to winnow_extractor;
