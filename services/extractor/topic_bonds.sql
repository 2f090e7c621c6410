-- name: join_topics
-- What was merged into the joining topics goes with them, so that no chain is ever longer than one.
update extractor.topic t
set merged_into = $2, merged_by = case when t.id = any ($3::uuid[]) then $4 else t.merged_by end,
    retired_at = coalesce(t.retired_at, now()), updated_at = now()
where t.workspace_id = $1 and (t.id = any ($3::uuid[]) or t.merged_into = any ($3::uuid[])) and t.id <> $2;

-- name: move_messages
with moved as (
  delete from extractor.topic_message m where m.workspace_id = $1 and m.topic_id = any ($3::uuid[])
  returning m.message_id, m.window_id, m.assigned_by)
insert into extractor.topic_message (workspace_id, topic_id, message_id, window_id, assigned_by)
select distinct on (m.message_id) $1, $2, m.message_id, m.window_id, m.assigned_by
from moved m order by m.message_id, m.assigned_by desc
on conflict (workspace_id, topic_id, message_id) do nothing;

-- name: move_atoms
update extractor.atom a set topic_id = $2 where a.workspace_id = $1 and a.topic_id = any ($3::uuid[]);

-- name: add_version
with next as (
  update extractor.topic t set version = t.version + 1, updated_at = now()
  where t.workspace_id = $1 and t.id = $2
  returning t.id, t.version, t.title)
insert into extractor.topic_version (workspace_id, topic_id, version, title, change, cause_topic_id, message_count)
select $1, n.id, n.version, n.title, $3, $4,
  (select count(*) from extractor.topic_message m where m.workspace_id = $1 and m.topic_id = n.id)
from next n;

-- name: lock_topics
select t.id, t.title from extractor.topic t
where t.workspace_id = $1 and t.id = any ($2::uuid[]) and t.retired_at is null
order by t.id for update;

-- name: merged_into
select t.merged_into from extractor.topic t where t.workspace_id = $1 and t.id = $2;

-- name: leave_alias
-- The title that a topic is about to lose, as if of a topic that was merged into it.
insert into extractor.topic (workspace_id, id, source_id, title, title_key, text_sha256, retired_at, merged_into, merged_by)
select t.workspace_id, $3, t.source_id, t.title, t.title_key, t.text_sha256, now(), t.id, 'person'
from extractor.topic t
where t.workspace_id = $1 and t.id = $2 and t.title_key <> $4;

-- name: rename
-- Nothing, if another live topic of the source is called so.
update extractor.topic t set title = $3, title_key = $4, text_sha256 = $5
where t.workspace_id = $1 and t.id = $2 and not exists (
  select from extractor.topic o
  where o.workspace_id = $1 and o.source_id = t.source_id and o.title_key = $4 and o.retired_at is null and o.id <> t.id)
returning t.id;

-- name: topics_of_request
select r.request_sha256, r.topic_ids from extractor.topic_request r where r.workspace_id = $1 and r.request_id = $2;

-- name: add_request
insert into extractor.topic_request (workspace_id, request_id, request_sha256, topic_ids) values ($1, $2, $3, $4);

-- name: messages_of
select m.message_id, s.source_id
from extractor.topic_message m
join ingest.message s on s.workspace_id = m.workspace_id and s.id = m.message_id
where m.workspace_id = $1 and m.topic_id = $2 and m.message_id = any ($3::uuid[])
order by m.message_id;

-- name: add_split_topic
insert into extractor.topic (workspace_id, id, source_id, title, title_key, text_sha256)
select $1, $2, $3, $4, $5, $6
where not exists (
  select from extractor.topic o
  where o.workspace_id = $1 and o.source_id = $3 and o.title_key = $5 and o.retired_at is null)
returning id;

-- name: add_split_version
insert into extractor.topic_version (workspace_id, topic_id, version, title, change, cause_topic_id, message_count)
values ($1, $2, 1, $3, 'parted', $4, $5);

-- name: split_messages
update extractor.topic_message m set topic_id = $3, assigned_by = 'person'
where m.workspace_id = $1 and m.topic_id = $2 and m.message_id = any ($4::uuid[]);

-- name: keep_messages
update extractor.topic_message m set assigned_by = 'person'
where m.workspace_id = $1 and m.topic_id = $2 and m.assigned_by <> 'person';

-- name: has_messages
select exists (
  select from extractor.topic_message m
  join ingest.message s on s.workspace_id = m.workspace_id and s.id = m.message_id
  where m.workspace_id = $1 and m.topic_id = $2 and s.deleted_at is null);

-- name: follow_messages
-- Atoms most of whose evidence a person has put into a topic belong to it, unless most of it is in their own topic too.
update extractor.atom a set topic_id = x.topic_id
from (
  select distinct on (e.atom_id) e.atom_id, p.topic_id
  from extractor.atom_evidence e
  join extractor.topic_message p on p.workspace_id = e.workspace_id and p.message_id = e.message_id and p.assigned_by = 'person'
  where e.workspace_id = $1 and e.atom_id = any ($2::uuid[])
  group by e.atom_id, p.topic_id
  having 2 * count(*) > (select count(*) from extractor.atom_evidence o where o.workspace_id = $1 and o.atom_id = e.atom_id)
  order by e.atom_id, count(*) desc, p.topic_id) x
where a.workspace_id = $1 and a.id = x.atom_id and a.topic_id is distinct from x.topic_id and (
  select 2 * count(m.message_id) <= count(*)
  from extractor.atom_evidence e
  left join extractor.topic_message m on m.workspace_id = e.workspace_id and m.topic_id = a.topic_id and m.message_id = e.message_id
  where e.workspace_id = $1 and e.atom_id = a.id);

-- name: atoms_of
select a.id from extractor.atom a where a.workspace_id = $1 and a.topic_id = $2 order by a.id;

-- name: keep_apart
insert into extractor.kept_apart (workspace_id, first_id, second_id) values ($1, least($2::uuid, $3::uuid), greatest($2::uuid, $3::uuid))
on conflict do nothing;

-- name: allow_together
-- None of the topics, nor of what was merged into them, is kept from another any more.
with member as materialized (
  select t.id from extractor.topic t
  where t.workspace_id = $1 and (t.id = any (array_append($3::uuid[], $2::uuid)) or t.merged_into = any (array_append($3::uuid[], $2::uuid))))
delete from extractor.kept_apart k using member x, member y
where k.workspace_id = $1 and k.first_id = x.id and k.second_id = y.id;
