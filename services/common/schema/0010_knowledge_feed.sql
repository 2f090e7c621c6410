-- The order in which knowledge changed, for those who follow it. The tables say so themselves, at commit, whoever writes them.

create table extractor.feed_position (
  workspace_id uuid primary key,
  position bigint not null
);

-- The last change of each atom and topic; what is gone keeps its row, with its id alone.
create table extractor.feed (
  workspace_id uuid not null,
  kind text not null check (kind in ('atom', 'topic')),
  subject_id uuid not null,
  position bigint not null,
  primary key (workspace_id, kind, subject_id)
);
create unique index feed_order on extractor.feed (workspace_id, position);

-- Deferred to the commit, where the lock on the workspace's position is held for as long as a commit takes: whoever sees a
-- position sees all that are lower, so a reader that remembers one misses nothing.
create function extractor.note_change() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare changed record; next_position bigint;
begin
  if tg_op = 'DELETE' then changed := old; else changed := new; end if;
  insert into extractor.feed_position as p (workspace_id, position) values (changed.workspace_id, 1)
  on conflict (workspace_id) do update set position = p.position + 1
  returning p.position into next_position;
  insert into extractor.feed (workspace_id, kind, subject_id, position)
  values (changed.workspace_id, tg_argv[0], changed.id, next_position)
  on conflict (workspace_id, kind, subject_id) do update set position = excluded.position;
  return null;
end $$;

create constraint trigger atom_made after insert on extractor.atom deferrable initially deferred
  for each row execute function extractor.note_change('atom');
create constraint trigger atom_gone after delete on extractor.atom deferrable initially deferred
  for each row execute function extractor.note_change('atom');
create constraint trigger atom_changed after update on extractor.atom deferrable initially deferred
  for each row when (
    (old.version, old.approval_state, old.valid_to, old.retired_at, old.invalidated_at, old.topic_id)
    is distinct from (new.version, new.approval_state, new.valid_to, new.retired_at, new.invalidated_at, new.topic_id))
  execute function extractor.note_change('atom');
create constraint trigger topic_made after insert on extractor.topic deferrable initially deferred
  for each row execute function extractor.note_change('topic');
create constraint trigger topic_gone after delete on extractor.topic deferrable initially deferred
  for each row execute function extractor.note_change('topic');
create constraint trigger topic_changed after update on extractor.topic deferrable initially deferred
  for each row when ((old.title, old.version, old.retired_at) is distinct from (new.title, new.version, new.retired_at))
  execute function extractor.note_change('topic');

insert into extractor.feed (workspace_id, kind, subject_id, position)
select x.workspace_id, x.kind, x.id, row_number() over (partition by x.workspace_id order by x.id, x.kind)
from (
  select a.workspace_id, 'atom' as kind, a.id from extractor.atom a where a.retired_at is null
  union all
  select t.workspace_id, 'topic', t.id from extractor.topic t where t.retired_at is null) x;
insert into extractor.feed_position (workspace_id, position)
select f.workspace_id, max(f.position) from extractor.feed f group by f.workspace_id;

alter table extractor.feed_position enable row level security;
alter table extractor.feed_position force row level security;
create policy own_workspace on extractor.feed_position
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
alter table extractor.feed enable row level security;
alter table extractor.feed force row level security;
create policy own_workspace on extractor.feed
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
grant select, insert, update on extractor.feed_position, extractor.feed to winnow_extractor;
