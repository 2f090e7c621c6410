-- name: topics
select t.id, t.source_id, t.title, t.version, coalesce(s.messages, 0) as message_count, coalesce(a.atoms, 0) as atom_count,
  s.first_at, coalesce(s.last_at, t.created_at) as last_at
from extractor.topic t
left join lateral (
  select count(*) as messages, min(m.sent_at) as first_at, max(m.sent_at) as last_at
  from extractor.topic_message tm
  join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
  where tm.workspace_id = t.workspace_id and tm.topic_id = t.id and ($7::timestamptz is null or m.sent_at <= $7)) s on true
left join lateral (
  select count(*) as atoms from extractor.atom x
  where x.workspace_id = t.workspace_id and x.topic_id = t.id and x.retired_at is null and x.approval_state <> 'rejected'
    and ($7::timestamptz is null or x.valid_from <= $7 and (x.valid_to is null or x.valid_to > $7))) a on true
where t.workspace_id = $1 and t.retired_at is null and ($3::uuid[] is null or t.id = any ($3))
  and ($7::timestamptz is null or s.messages > 0)
  and ($2::uuid is null or t.source_id = $2 or t.id in (
    select o.topic_id from ingest.message m
    join extractor.topic_message o on o.workspace_id = m.workspace_id and o.message_id = m.id
    where m.workspace_id = $1 and m.source_id = $2 and m.deleted_at is null))
  and ($4::timestamptz is null or (coalesce(s.last_at, t.created_at), t.id) < ($4, $5::uuid))
order by coalesce(s.last_at, t.created_at) desc, t.id desc
limit $6;

-- name: latest_topics
-- A page of `topics`, as of now or as of a time that is not before the page's start: a topic stands where its last message does, so
-- the $6 messages before the page's start tell it. What they do not reach is left out, unless they are all. `offset 0` has each
-- topic and message looked up by its key: after an import the planner may believe that there are hardly any, and join all with all.
-- Messages after $8 are known to have no topic.
with walked as materialized (
  select m.id, m.sent_at from ingest.message m
  where m.workspace_id = $1 and m.deleted_at is null and m.sent_at <= least($3::timestamptz, $8::timestamptz)
  order by m.sent_at desc limit $6::int),
reached as materialized (
  select case when count(*) < $6 then '-infinity' else min(w.sent_at) end as at from walked w),
placed as materialized (
  select o.topic_id, max(w.sent_at) as last_at
  from walked w
  cross join lateral (
    select tm.topic_id from extractor.topic_message tm where tm.workspace_id = $1 and tm.message_id = w.id offset 0) o
  group by o.topic_id
  union all
  select t.id, t.created_at from extractor.topic t
  where $7::timestamptz is null and t.workspace_id = $1 and t.retired_at is null
    and t.created_at > (select r.at from reached r) and t.created_at <= $3
    and not exists (
      select from extractor.topic_message tm
      cross join lateral (
        select from ingest.message m where m.workspace_id = $1 and m.id = tm.message_id and m.deleted_at is null offset 0) m
      where tm.workspace_id = $1 and tm.topic_id = t.id offset 0)),
page as materialized (
  select t.id, t.source_id, t.title, t.version, p.last_at
  from placed p
  cross join lateral (
    select o.workspace_id, o.id, o.source_id, o.title, o.version from extractor.topic o
    where o.workspace_id = $1 and o.id = p.topic_id and o.retired_at is null offset 0) t
  where p.last_at > (select r.at from reached r)
    and (p.last_at, t.id) < ($3, $4::uuid)
    and ($3 = 'infinity' or not exists (
      select from extractor.topic_message tm
      cross join lateral (
        select from ingest.message m
        where m.workspace_id = $1 and m.id = tm.message_id and m.deleted_at is null and m.sent_at > $3
          and ($7::timestamptz is null or m.sent_at <= $7) offset 0) m
      where tm.workspace_id = $1 and tm.topic_id = t.id offset 0))
    and ($2::uuid is null or t.source_id = $2 or exists (
      select from extractor.topic_message o
      join ingest.message m on m.workspace_id = o.workspace_id and m.id = o.message_id and m.deleted_at is null
      where o.workspace_id = t.workspace_id and o.topic_id = t.id and m.source_id = $2))
  order by p.last_at desc, t.id desc
  limit $5)
select p.id, p.source_id, p.title, p.version, s.messages as message_count, s.first_at, p.last_at,
  (select r.at = '-infinity' from reached r) as is_all,
  (select count(*) from extractor.atom x
   where x.workspace_id = $1 and x.topic_id = p.id and x.retired_at is null and x.approval_state <> 'rejected'
     and ($7::timestamptz is null or x.valid_from <= $7 and (x.valid_to is null or x.valid_to > $7))) as atom_count
from page p
cross join lateral (
  select count(*) as messages, min(m.sent_at) as first_at
  from extractor.topic_message tm
  join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
  where tm.workspace_id = $1 and tm.topic_id = p.id and ($7::timestamptz is null or m.sent_at <= $7)) s
order by p.last_at desc, p.id desc;

-- name: last_discussed
-- When the newest of some messages was sent that has a topic; nothing is looked at where no message has one.
select w.sent_at from (
  select m.id, m.sent_at from ingest.message m
  where m.workspace_id = $1 and m.deleted_at is null and m.sent_at <= $2::timestamptz
    and (select exists (select from extractor.topic_message tm where tm.workspace_id = $1))
  order by m.sent_at desc limit $3::int) w
where exists (select from extractor.topic_message tm where tm.workspace_id = $1 and tm.message_id = w.id offset 0)
order by w.sent_at desc limit 1;

-- name: topic_messages
-- What is to be erased is shown no more.
select tm.message_id, m.sent_at from extractor.topic_message tm
join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
where tm.workspace_id = $1 and tm.topic_id = $2 and ($3::timestamptz is null or m.sent_at <= $3)
  and ($4::timestamptz is null or (m.sent_at, m.id) > ($4, $5::uuid))
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
order by m.sent_at, m.id
limit $6;

-- name: topic_atoms
select a.id from extractor.atom a
where a.workspace_id = $1 and a.topic_id = $2 and a.retired_at is null and a.approval_state <> 'rejected'
  and ($3::timestamptz is null or a.valid_from <= $3 and (a.valid_to is null or a.valid_to > $3))
order by a.id
limit $4;

-- name: atoms
select a.id, a.source_id, a.type, a.title, a.content, a.confidence, a.approval_state, a.version, a.topic_id,
  t.title as topic_title, a.valid_from, a.valid_to, a.created_at, a.updated_at, a.invalidated_at, a.merged_into,
  a.superseded_by, a.approval_state = 'approved' and a.judged_by = 'rule' as approved_by_rule,
  (select count(*) from extractor.atom x where x.workspace_id = a.workspace_id and x.merged_into = a.id) as merged_count
from extractor.atom a
left join extractor.topic t on t.workspace_id = a.workspace_id and t.id = a.topic_id
where a.workspace_id = $1
  and case when $8::bool then a.invalidated_at is not null
    else a.retired_at is null or $5::uuid[] is not null and (a.invalidated_at is not null or a.merged_into is not null) end
  and (a.approval_state = $9
    or $9 = '' and (a.approval_state <> 'rejected' or $8::bool or $5::uuid[] is not null and $10::timestamptz is null))
  and ($2 = '' or a.type = $2) and ($3::uuid is null or a.topic_id = $3)
  and ($4::uuid is null or a.source_id = $4 or exists (
    select from extractor.atom_evidence e
    join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id and m.deleted_at is null
    where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is not null and m.source_id = $4))
  and ($10::timestamptz is null or a.invalidated_at is null and a.merged_into is null
    and a.valid_from <= $10 and (a.valid_to is null or a.valid_to > $10))
  and ($5::uuid[] is null or a.id = any ($5)) and ($6::uuid is null or a.id < $6)
order by a.id desc
limit $7;

-- name: evidence
-- What is to be erased is shown no more, here and below.
select e.atom_id, e.message_id, e.quote, e.quote_offset
from extractor.atom_evidence e
join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id
where e.workspace_id = $1 and e.atom_id = any ($2::uuid[]) and m.deleted_at is null and ($3::timestamptz is null or m.sent_at <= $3)
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
order by e.atom_id, e.position;

-- name: messages
select m.id, m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at, m.edited_at, m.forwarded_from, m.importance_score, m.importance_label, s.title as source_title
from ingest.message m
join ingest.source s on s.workspace_id = m.workspace_id and s.id = m.source_id
where m.workspace_id = $1 and m.id = any ($2::uuid[]) and m.deleted_at is null
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id);

-- name: links
-- Links between live atoms, at least one of them given: those of a merged atom are those of the one it was merged into, and the
-- surest of several stands. None leads to a rejected atom, or as of a time to what was said later.
with own as (
  select a.id from extractor.atom a where a.workspace_id = $1 and (a.id = any ($2::uuid[]) or a.merged_into = any ($2::uuid[]))),
touching as (
  select l.from_atom_id, l.to_atom_id, l.type, l.confidence, l.origin
  from extractor.atom_link l join own o on o.id = l.from_atom_id where l.workspace_id = $1
  union
  select l.from_atom_id, l.to_atom_id, l.type, l.confidence, l.origin
  from extractor.atom_link l join own o on o.id = l.to_atom_id where l.workspace_id = $1)
select distinct on (f.id, t.id, l.type) f.id as from_atom_id, t.id as to_atom_id, l.type, l.confidence, l.origin
from touching l
join extractor.atom a on a.workspace_id = $1 and a.id = l.from_atom_id
join extractor.atom b on b.workspace_id = $1 and b.id = l.to_atom_id
join extractor.atom f on f.workspace_id = $1 and f.id = coalesce(a.merged_into, a.id) and f.retired_at is null
join extractor.atom t on t.workspace_id = $1 and t.id = coalesce(b.merged_into, b.id) and t.retired_at is null
where f.id <> t.id and (cardinality($3::text[]) = 0 or l.type = any ($3)) and l.confidence >= $4::real
  and (f.approval_state <> 'rejected' or f.id = any ($2)) and (t.approval_state <> 'rejected' or t.id = any ($2))
  and ($5::timestamptz is null or greatest(f.valid_from, t.valid_from) <= $5)
order by f.id, t.id, l.type, l.confidence desc, l.origin;

-- name: versions
-- An edit judges the version that it makes; of one that stood already it has only changed when that ends, and its reason is told
-- where nobody has judged.
select v.version, v.type, v.title, v.content, v.approval_state, v.created_at, v.run_id, v.origin, v.change, v.cause_atom_id,
  v.evidence_count, before.type as type_before, before.title as title_before, before.content as content_before, coalesce(last.reason, ended.reason) as reason,
  last.created_at as reviewed_at
from extractor.atom_version v
left join lateral (
  select r.id from extractor.review r
  where r.workspace_id = v.workspace_id and r.atom_id = v.atom_id and r.version = v.version and v.change = 'edited'
  order by r.id limit 1) maker on true
left join lateral (
  select r.reason, r.created_at from extractor.review r
  where r.workspace_id = v.workspace_id and r.atom_id = v.atom_id and r.version = v.version
    and (r.verdict <> 'edited' or r.id = maker.id)
  order by r.id desc limit 1) last on true
left join lateral (
  select r.reason from extractor.review r
  where r.workspace_id = v.workspace_id and r.atom_id = v.atom_id and r.version = v.version
  order by r.id desc limit 1) ended on true
left join lateral (
  select b.type, b.title, b.content from extractor.atom_version b
  where b.workspace_id = v.workspace_id and b.atom_id = v.atom_id and b.version < v.version
  order by b.version desc limit 1) before on true
where v.workspace_id = $1 and v.atom_id = $2 and ($3::int is null or v.version < $3)
order by v.version desc
limit $4;

-- name: topic_versions
select v.version, v.title, v.created_at, v.change, v.cause_topic_id, v.message_count, before.title as title_before
from extractor.topic_version v
left join lateral (
  select b.title from extractor.topic_version b
  where b.workspace_id = v.workspace_id and b.topic_id = v.topic_id and b.version < v.version
  order by b.version desc limit 1) before on true
where v.workspace_id = $1 and v.topic_id = $2 and ($3::int is null or v.version < $3)
order by v.version desc
limit $4;

-- name: runs
select r.id, r.window_id, r.engine, r.model, r.prompt_version, r.outcome, r.tokens_in, r.tokens_out, r.model_calls,
  r.duration_seconds, r.message_count, r.noise_count, r.atom_count, r.rejected, r.created_at
from extractor.run r
where r.workspace_id = $1 and ($2 = '' or r.outcome = $2) and ($3::uuid is null or r.id < $3)
  and ($5::uuid is null or r.window_id = $5)
  and ($6::timestamptz is null or r.created_at >= $6) and ($7::timestamptz is null or r.created_at < $7)
  and ($8::uuid is null or r.id > $8)
order by r.id desc
limit $4;

-- name: runs_of_source
-- A statement of its own, so that the planner may begin with the windows where they are few.
select r.id, r.window_id, r.engine, r.model, r.prompt_version, r.outcome, r.tokens_in, r.tokens_out, r.model_calls,
  r.duration_seconds, r.message_count, r.noise_count, r.atom_count, r.rejected, r.created_at
from extractor.run r
join extractor.conversation_window w on w.workspace_id = r.workspace_id and w.id = r.window_id
where r.workspace_id = $1 and w.source_id = $9 and ($2 = '' or r.outcome = $2) and ($3::uuid is null or r.id < $3)
  and ($5::uuid is null or r.window_id = $5)
  and ($6::timestamptz is null or r.created_at >= $6) and ($7::timestamptz is null or r.created_at < $7)
  and ($8::uuid is null or r.id > $8)
order by r.id desc
limit $4;

-- name: feed_end
select coalesce((select p.position from extractor.feed_position p where p.workspace_id = $1), 0);

-- name: feed_before
-- The position of the last change before a time: from the end backwards, over what changed since and no more.
select coalesce((
  select f.position from extractor.feed f
  where f.workspace_id = $1 and coalesce(f.changed_at, '-infinity') < $2
  order by f.position desc
  limit 1), 0);

-- name: changes
-- Of the next $6 after a position those of some kinds, and but for what lives in other sources than $5 alone. `offset 0` has each, and what it
-- rests on, looked up by its key, and only as far as the page goes.
select f.position, f.kind, f.subject_id
from (
  select n.position, n.kind, n.subject_id from extractor.feed n
  where n.workspace_id = $1 and n.position > $2 order by n.position limit $6) f
where (cardinality($4::text[]) = 0 or f.kind = any ($4))
  and ($5::uuid is null
    or f.kind = 'atom' and not exists (
      select from extractor.atom a
      where a.workspace_id = $1 and a.id = f.subject_id
        and a.retired_at is null and a.invalidated_at is null and a.merged_into is null and a.source_id <> $5
        and not exists (
          select from (
            select e.message_id, e.via_atom_id from extractor.atom_evidence e
            where e.workspace_id = $1 and e.atom_id = a.id offset 0) e
          cross join lateral (
            select m.source_id from ingest.message m
            where m.workspace_id = $1 and m.id = e.message_id and m.deleted_at is null offset 0) m
          where e.via_atom_id is not null and m.source_id = $5)
      offset 0)
    or f.kind = 'topic' and not exists (
      select from extractor.topic t
      where t.workspace_id = $1 and t.id = f.subject_id and t.retired_at is null and t.source_id <> $5
        and not exists (
          select from extractor.topic_message o
          cross join lateral (
            select m.source_id from ingest.message m
            where m.workspace_id = $1 and m.id = o.message_id and m.deleted_at is null offset 0) m
          where o.workspace_id = $1 and o.topic_id = t.id and m.source_id = $5)
      offset 0))
order by f.position
limit $3;

-- name: looked_at
-- How many changes that were, and the position of the last.
select count(*) as changes, coalesce(max(f.position), $2) as position
from (
  select n.position from extractor.feed n where n.workspace_id = $1 and n.position > $2 order by n.position limit $3) f;
