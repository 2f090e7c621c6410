-- name: messages_of_chunk
select e.message_ids from ingest.erasure e where e.workspace_id = $1 and e.operation_id = $2 and e.chunk = $3;

-- name: atoms_to_remove
-- Atoms that themselves rest on the messages or on nothing, those that quote what their window does not say itself, and rows of history
-- that may repeat words no longer cited. What they only borrow says nothing of their words; what is merged is as good as live.
-- Messages that are erased with other chunks, before or after, are no others to rest on.
with said as materialized (
  select w.window_id, array_agg(distinct t.word) as words
  from extractor.window_message w
  join ingest.message m on m.workspace_id = w.workspace_id and m.id = w.message_id and m.deleted_at is null
  cross join lateral unnest(tsvector_to_array(m.words) || tsvector_to_array(spine.words(m.author_name || ' ' || m.author_external_id)))
    as t (word)
  where w.workspace_id = $1 and w.window_id = any ($3::uuid[])
  group by w.window_id)
select a.id, a.window_id, a.retired_at is null or a.merged_into is not null as is_live,
  exists (select from extractor.atom_evidence e
    where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is null
      and e.message_id <> all ($2::uuid[]) and not exists (
        select from ingest.message m where m.workspace_id = e.workspace_id and m.id = e.message_id and m.erased_at is not null)
      and not exists (
        select from ingest.message_to_erase t where t.workspace_id = e.workspace_id and t.message_id = e.message_id)
    ) as rests_on_others
from extractor.atom a
where a.workspace_id = $1 and (
  a.id in (select e.atom_id from extractor.atom_evidence e
    where e.workspace_id = $1 and e.via_atom_id is null and e.message_id = any ($2::uuid[]))
  or a.window_id = any ($3::uuid[]) and (
    a.retired_at is not null and a.invalidated_at is null and a.merged_into is null
    or not exists (select from extractor.atom_evidence e where e.workspace_id = a.workspace_id and e.atom_id = a.id)
    -- A person's own words stand in no message; a question that they left in place may be one that is gone.
    or case when a.origin = 'person' then a.content like '«%' else
      not coalesce((select s.words from said s where s.window_id = a.window_id), '{}') @> tsvector_to_array(a.words) end))
order by a.id
for update of a;

-- name: count_evidence
-- Of the messages, and of those erased with other chunks in the atoms that go with this one.
select count(*)::int from extractor.atom_evidence e
where e.workspace_id = $1 and e.via_atom_id is null and (e.message_id = any ($2::uuid[]) or e.atom_id = any ($3::uuid[]) and (
  exists (select from ingest.message m where m.workspace_id = e.workspace_id and m.id = e.message_id and m.erased_at is not null)
  or exists (select from ingest.message_to_erase t where t.workspace_id = e.workspace_id and t.message_id = e.message_id)));

-- name: remove_evidence
delete from extractor.atom_evidence e
where e.workspace_id = $1 and (e.atom_id = any ($2::uuid[]) or e.via_atom_id = any ($2::uuid[]));

-- name: remove_links
delete from extractor.atom_link l
where l.workspace_id = $1 and (l.from_atom_id = any ($2::uuid[]) or l.to_atom_id = any ($2::uuid[]));

-- name: remove_separations
delete from extractor.kept_apart k
where k.workspace_id = $1 and (k.first_id = any ($2::uuid[]) or k.second_id = any ($2::uuid[]));

-- name: remove_causes
-- A version names the atom that made it necessary, by an id that means nothing any more.
update extractor.atom_version v set cause_atom_id = null
from extractor.atom a
where v.workspace_id = $1 and a.workspace_id = v.workspace_id and a.id = v.atom_id and v.cause_atom_id = any ($2::uuid[]);

-- name: remove_reviews
delete from extractor.review r where r.workspace_id = $1 and r.atom_id = any ($2::uuid[]);

-- name: remove_versions
delete from extractor.atom_version v where v.workspace_id = $1 and v.atom_id = any ($2::uuid[]);

-- name: remove_atoms
delete from extractor.atom a where a.workspace_id = $1 and a.id = any ($2::uuid[]);

-- name: remove_earlier_reviews
delete from extractor.review r using extractor.atom a
where r.workspace_id = $1 and a.workspace_id = r.workspace_id and a.id = r.atom_id and r.version < a.version
  and a.window_id = any ($2::uuid[]);

-- name: remove_earlier_versions
delete from extractor.atom_version v using extractor.atom a
where v.workspace_id = $1 and a.workspace_id = v.workspace_id and a.id = v.atom_id and v.version < a.version
  and a.window_id = any ($2::uuid[]);

-- name: remove_topic_messages
delete from extractor.topic_message t where t.workspace_id = $1 and t.message_id = any ($2::uuid[]) returning t.topic_id;

-- name: topics_concerned
-- Topics that messages were taken out of, that have messages of the windows, or whose titles readings of these gave; what such ones are
-- part of, were called before or was merged into them; topics that were parted from them; and those of the sources that are out of use
-- and of which it is not known who gave their titles. One goes if its title has a word that none of its messages has; what a person
-- called so, if it has neither a message nor an atom, and not for being out of use alone. Those of a merged topic are those of the one
-- that it is part of. Each step is fenced, however little is known of the tables, and looks no further than to the first message that
-- decides.
with known as materialized (
  select w.topic_id from extractor.title_window w where w.workspace_id = $1 and w.window_id = any ($3::uuid[])
  union
  select x.id from unnest($2::uuid[]) as x (id)
  union
  select m.topic_id from extractor.topic_message m where m.workspace_id = $1 and m.window_id = any ($3::uuid[])),
whole as materialized (
  select distinct t.whole as id from known k cross join lateral (
    select coalesce(t.merged_into, t.id) as whole from extractor.topic t where t.workspace_id = $1 and t.id = k.topic_id offset 0) t),
unused as materialized (
  select t.id from extractor.topic t
  where t.workspace_id = $1 and t.retired_at is not null and t.merged_into is null and not t.is_traced and t.source_id = any (array(
      select distinct m.source_id from unnest($4::uuid[]) as x (id) cross join lateral (
        select m.source_id from ingest.message m where m.workspace_id = $1 and m.id = x.id offset 0) m))
    and not exists (select from extractor.topic_message x where x.workspace_id = $1 and x.topic_id = t.id offset 0)),
concerned as materialized (
  select c.id, bool_or(c.is_known) as is_known
  from (
    select k.topic_id as id, true as is_known from known k
    union all
    select w.id, true from whole w
    union all
    select v.topic_id, true from extractor.topic_version v
    where v.workspace_id = $1 and v.version = 1 and v.change = 'parted' and v.cause_topic_id = any (array(select k.topic_id from known k))
    union all
    select a.id, true from extractor.topic a where a.workspace_id = $1 and a.merged_into = any (array(select w.id from whole w))
    union all
    select u.id, false from unused u
    union all
    select a.id, false from extractor.topic a where a.workspace_id = $1 and a.merged_into = any (array(select u.id from unused u))) c
  group by c.id),
part as materialized (
  select t.*, c.is_known from concerned c cross join lateral (
    select t.id, t.title, t.words, coalesce(t.merged_into, t.id) as whole
    from extractor.topic t where t.workspace_id = $1 and t.id = c.id offset 0) t),
judged as materialized (
  select p.id, n.is_persons, case when n.is_persons then p.is_known and not h.has_messages and not exists (
      select from extractor.atom a where a.workspace_id = $1 and a.topic_id = p.whole and a.retired_at is null offset 0)
    else not h.has_messages or exists (
      select from unnest(tsvector_to_array(p.words)) as w (word)
      where not exists (
        select from (
          select x.message_id from extractor.topic_message x where x.workspace_id = $1 and x.topic_id = p.whole offset 0) x
        cross join lateral (
          select from ingest.message m
          where m.workspace_id = $1 and m.id = x.message_id and m.deleted_at is null
            and m.words @@ array_to_tsvector(array[w.word])::text::tsquery offset 0) m)) end as goes
  from part p
  cross join lateral (
    select exists (
      select from (
        select x.message_id from extractor.topic_message x where x.workspace_id = $1 and x.topic_id = p.whole offset 0) x
      cross join lateral (
        select from ingest.message m where m.workspace_id = $1 and m.id = x.message_id and m.deleted_at is null offset 0) m
      ) as has_messages) h
  cross join lateral (
    select exists (
      select from (
        select p.whole as id union all
        select f.id from extractor.topic f where f.workspace_id = $1 and f.merged_into = p.whole) f
      cross join lateral (
        select from extractor.topic_version v
        where v.workspace_id = $1 and v.topic_id = f.id and v.title = p.title and v.is_persons
          offset 0) v) as is_persons) n)
select t.id, j.is_persons, j.goes
from (select * from judged order by id) j
cross join lateral (select t.id from extractor.topic t where t.workspace_id = $1 and t.id = j.id for update) t;

-- name: windows_of_topics
select distinct t.window_id from extractor.topic_message t where t.workspace_id = $1 and t.topic_id = any ($2::uuid[]);

-- name: count_links_to_erased
-- Of topics to messages that are erased with other chunks, before or after.
select count(*)::int from extractor.topic_message x
where x.workspace_id = $1 and x.topic_id = any ($2::uuid[]) and (
  exists (select from ingest.message m where m.workspace_id = x.workspace_id and m.id = x.message_id and m.erased_at is not null)
  or exists (select from ingest.message_to_erase t where t.workspace_id = x.workspace_id and t.message_id = x.message_id));

-- name: remove_former_titles
-- What the topics were called before a person renamed them: with them goes what is known of where that comes from.
delete from extractor.topic t
where t.workspace_id = $1 and t.merged_into = any ($2::uuid[])
  and not exists (select from extractor.topic_version v where v.workspace_id = t.workspace_id and v.topic_id = t.id);

-- name: leave_aliases
update extractor.topic t set merged_into = null, merged_by = null where t.workspace_id = $1 and t.merged_into = any ($2::uuid[]);

-- name: leave_removed_topics
update extractor.atom a set topic_id = null where a.workspace_id = $1 and a.topic_id = any ($2::uuid[]);

-- name: remove_messages_of_topics
delete from extractor.topic_message t where t.workspace_id = $1 and t.topic_id = any ($2::uuid[]);

-- name: remove_earlier_titles
-- Of topics that stay: titles that no person gave, if they have a word that none of the messages has.
delete from extractor.topic_version v using extractor.topic t
where v.workspace_id = $1 and v.topic_id = any ($2::uuid[]) and t.workspace_id = v.workspace_id and t.id = v.topic_id
  and v.title <> t.title and not exists (
    select from extractor.topic_version p
    where p.workspace_id = $1 and p.topic_id = t.id and p.title = v.title and p.is_persons)
  and exists (
    select from unnest(tsvector_to_array(spine.words(v.title))) as w (word)
    where not exists (
      select from (
        select x.message_id from extractor.topic_message x
        where x.workspace_id = $1 and x.topic_id = coalesce(t.merged_into, t.id) offset 0) x
      cross join lateral (
        select from ingest.message m
        where m.workspace_id = $1 and m.id = x.message_id and m.deleted_at is null
          and m.words @@ array_to_tsvector(array[w.word])::text::tsquery offset 0) m));

-- name: keep_messages
-- What is left of the windows may be called otherwise than it was, and no title leads to these topics then.
update extractor.topic_message x set assigned_by = 'person'
where x.workspace_id = $1 and x.topic_id = any ($2::uuid[]) and x.window_id = any ($3::uuid[]) and x.assigned_by <> 'person';

-- name: remove_topic_versions
delete from extractor.topic_version t where t.workspace_id = $1 and t.topic_id = any ($2::uuid[]);

-- name: remove_topics
delete from extractor.topic t where t.workspace_id = $1 and t.id = any ($2::uuid[]);

-- name: remove_memberships
with closed as (
  delete from extractor.window_message w where w.workspace_id = $1 and w.message_id = any ($2::uuid[]) returning 1),
waiting as (
  delete from extractor.pending_message p where p.workspace_id = $1 and p.message_id = any ($2::uuid[]) returning 1)
select ((select count(*) from closed) + (select count(*) from waiting))::int;

-- name: add_report
insert into extractor.erasure
  (workspace_id, operation_id, chunk, evidence, topic_links, window_memberships, atoms, atoms_read_again, atom_ids, topic_ids)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
