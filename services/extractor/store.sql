-- name: lock_for_writing
-- Who writes what was read of messages shares this lock; who erases waits for them, and they find the messages changed.
select pg_advisory_xact_lock_shared(hashtextextended('extractor.erasure:' || $1::uuid::text, 0));

-- name: lock_for_erasing
select pg_advisory_xact_lock(hashtextextended('extractor.erasure:' || $1::uuid::text, 0));

-- name: lock_source
select pg_advisory_xact_lock(hashtextextended('extractor.source:' || $1::uuid || $2::uuid, 0));

-- name: add_pending
insert into extractor.pending_message (workspace_id, message_id, source_id, thread_id, sent_at, received_at)
select m.workspace_id, m.id, m.source_id, m.thread_id, m.sent_at, m.received_at
from ingest.message m
where m.workspace_id = $1 and m.source_id = $2 and m.id between $3 and $4 and m.deleted_at is null
  and not exists (
    select from extractor.window_message w where w.workspace_id = m.workspace_id and w.message_id = m.id)
order by m.id
on conflict (workspace_id, message_id) do nothing;

-- name: drop_deleted_pending
delete from extractor.pending_message p
using ingest.message m
where p.workspace_id = $1 and m.workspace_id = p.workspace_id and m.id = p.message_id and m.deleted_at is not null
  and p.message_id = any ($2::uuid[]);

-- name: pending
-- A message may have moved since it began to wait.
select p.message_id, m.thread_id, m.sent_at, p.received_at, m.importance_label
from extractor.pending_message p
join ingest.message m on m.workspace_id = p.workspace_id and m.id = p.message_id
where p.workspace_id = $1 and p.source_id = $2 and ($4::uuid is null or p.message_id < $4)
order by m.thread_id, m.sent_at, p.message_id
limit $3;

-- name: open_conversations
-- How many conversations of each source have messages that are in no closed window: those that wait in open ones, and those that
-- were accepted and whose own task is still to put them there.
select x.source_id, count(distinct x.thread_id) as conversations
from (
  select p.source_id, m.thread_id
  from extractor.pending_message p
  join ingest.message m on m.workspace_id = p.workspace_id and m.id = p.message_id
  where p.workspace_id = $1 and ($2::uuid is null or p.source_id = $2)
  union
  select m.source_id, m.thread_id
  from ingest.source s
  cross join lateral spine.awaited($1, 'window', s.id, 'new:', null) t
  join ingest.message m on m.workspace_id = $1 and m.source_id = s.id and m.deleted_at is null
    and m.id between split_part(t.spec, ':', 2)::uuid and split_part(t.spec, ':', 3)::uuid
  where s.workspace_id = $1 and ($2::uuid is null or s.id = $2)
    and not exists (select from extractor.window_message w where w.workspace_id = m.workspace_id and w.message_id = m.id)) x
group by x.source_id
order by x.source_id;

-- name: add_window
insert into extractor.conversation_window
  (workspace_id, id, source_id, thread_id, closed_by, first_sent_at, last_sent_at, message_count, noise_count)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: unfinished
-- The last window of each conversation, where it was closed before it was full and before a pause, and what waits goes on with it.
select w.id, x.thread_id
from unnest($3::text[], $4::timestamptz[]) as x (thread_id, sent_at)
cross join lateral (
  select c.id, c.closed_by, c.last_sent_at, c.message_count, c.noise_count from extractor.conversation_window c
  where c.workspace_id = $1 and c.source_id = $2 and c.thread_id = x.thread_id
  order by c.last_sent_at desc, c.id desc limit 1) w
where w.closed_by <> 'count' and w.last_sent_at <= x.sent_at and w.last_sent_at > x.sent_at - $5::interval
  and w.message_count - w.noise_count < $6 and w.message_count < $7
order by w.id;

-- name: messages_of_windows
select w.window_id, m.id as message_id, m.thread_id, m.sent_at, m.received_at, m.importance_label
from extractor.window_message w
join ingest.message m on m.workspace_id = w.workspace_id and m.id = w.message_id
where w.workspace_id = $1 and w.window_id = any ($2::uuid[]) and m.deleted_at is null
order by w.window_id, w.position;

-- name: extend_window
update extractor.conversation_window
set closed_by = $3, last_sent_at = $4, message_count = message_count + $5, noise_count = noise_count + $6
where workspace_id = $1 and id = $2;

-- name: assign_messages
with assigned as (
  insert into extractor.window_message (workspace_id, message_id, window_id, position)
  select $1, x.message_id, $2, x.position
    + coalesce((select max(w.position) from extractor.window_message w where w.workspace_id = $1 and w.window_id = $2), 0)
  from unnest($3::uuid[]) with ordinality as x (message_id, position)
  order by x.message_id
  returning message_id)
delete from extractor.pending_message p
using assigned a where p.workspace_id = $1 and p.message_id = a.message_id;

-- name: sources_of_messages
select distinct m.source_id from ingest.message m where m.workspace_id = $1 and m.id = any ($2::uuid[]);

-- name: windows_of_messages
select distinct w.window_id from extractor.window_message w
where w.workspace_id = $1 and w.message_id = any ($2::uuid[])
order by w.window_id;

-- name: windows_that_saw
-- The windows of messages, and those that may have seen them as context: the next two of the conversation, those that begin before
-- $3 more messages were said, and those with replies. Where so many were deleted that those are not among the next few, the next windows
-- will do: of a source that is erased, every message after the last one that is left would be looked at, for each message.
-- A workspace that the statistics do not know is planned for as one of average size if it comes from a subquery, and else as one row.
with own as (
  select distinct c.id, c.source_id, c.thread_id, c.first_sent_at
  from extractor.window_message w
  join extractor.conversation_window c on c.workspace_id = (select $1::uuid) and c.id = w.window_id
  where w.workspace_id = (select $1::uuid) and w.message_id = any ($2::uuid[]))
select o.id, o.source_id, true as is_own from own o
union
select n.id, o.source_id, false from own o cross join lateral (
  select c.id from extractor.conversation_window c
  where c.workspace_id = (select $1::uuid) and c.source_id = o.source_id and c.thread_id = o.thread_id and c.last_sent_at > o.first_sent_at
    and c.first_sent_at > o.first_sent_at
  order by c.first_sent_at, c.id limit 2) n
union
select n.id, m.source_id, false
from ingest.message m
left join lateral (
  select b.sent_at from (
    select b.sent_at, b.deleted_at from ingest.message b
    where b.workspace_id = (select $1::uuid) and b.source_id = m.source_id and b.thread_id = m.thread_id and b.sent_at > m.sent_at
    order by b.sent_at limit 8 * ($3::int + 1)) b
  where b.deleted_at is null order by b.sent_at offset $3::int limit 1) far on true
cross join lateral (
  select c.id from extractor.conversation_window c
  where c.workspace_id = (select $1::uuid) and c.source_id = m.source_id and c.thread_id = m.thread_id and c.last_sent_at > m.sent_at
    and c.first_sent_at > m.sent_at and (far.sent_at is null or c.first_sent_at <= far.sent_at)
  order by c.last_sent_at limit $3::int + 1) n
where m.workspace_id = (select $1::uuid) and m.id = any ($2::uuid[])
union
select w.window_id, r.source_id, false
from ingest.message m
join ingest.message r on r.workspace_id = (select $1::uuid) and r.source_id = m.source_id and r.reply_to_external_id = m.external_id
  and r.reply_to_external_id <> '' -- as their index has it
join extractor.window_message w on w.workspace_id = (select $1::uuid) and w.message_id = r.id
where m.workspace_id = (select $1::uuid) and m.id = any ($2::uuid[]);

-- name: windows_that_quote
-- Of some windows those whose atoms quote a question.
select distinct a.window_id from extractor.atom a
where a.workspace_id = $1 and a.window_id = any ($2::uuid[]) and a.content like '«%'
  and (a.retired_at is null or a.merged_into is not null)
order by a.window_id;

-- name: still_say
select not exists (
  select from unnest($2::uuid[], $3::text[]) as x (id, text)
  join ingest.message m on m.workspace_id = $1 and m.id = x.id
  where m.deleted_at is not null or m.text <> x.text)
  and not exists (select from ingest.message_to_erase t where t.workspace_id = $1 and t.message_id = any ($2::uuid[]));

-- name: windows_being_erased
-- Of some windows those in which a message stands that is to be erased, or is and the extractor's part has not been done.
select distinct w.window_id from extractor.window_message w
join ingest.message m on m.workspace_id = w.workspace_id and m.id = w.message_id
where w.workspace_id = $1 and w.window_id = any ($2::uuid[]) and (m.erased_at is not null or exists (
  select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id))
order by w.window_id;

-- name: window_texts
-- What is to be erased is read no more, here and below.
select w.window_id, m.id as message_id, m.text_sha256, m.importance_label, m.sent_at >= now() - $3::interval as is_fresh
from extractor.window_message w
join ingest.message m on m.workspace_id = w.workspace_id and m.id = w.message_id
where w.workspace_id = $1 and w.window_id = any ($2::uuid[]) and m.deleted_at is null
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
order by w.window_id, w.position;

-- name: conversation_of_window
select c.source_id, c.thread_id, c.first_sent_at from extractor.conversation_window c
where c.workspace_id = $1 and c.id = $2;

-- name: window_messages
select m.id, m.author_external_id, m.author_name, m.author_is_bot, m.text, m.sent_at, m.text_sha256, m.importance_label,
  m.importance_score, parent.id as parent_id
from extractor.window_message w
join ingest.message m on m.workspace_id = w.workspace_id and m.id = w.message_id
left join ingest.message parent on m.reply_to_external_id <> '' and parent.workspace_id = m.workspace_id
  and parent.source_id = m.source_id and parent.external_id = m.reply_to_external_id and parent.deleted_at is null
where w.workspace_id = $1 and w.window_id = $2 and m.deleted_at is null
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
order by w.position;

-- name: messages_before
select m.id, m.author_external_id, m.author_name, m.author_is_bot, m.text, m.sent_at, m.importance_label, m.importance_score,
  null::uuid as parent_id
from ingest.message m
where m.workspace_id = $1 and m.source_id = $2 and m.thread_id = $3 and m.sent_at < $4 and m.deleted_at is null
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
order by m.sent_at desc, m.id desc
limit $5;

-- name: messages_by_id
select m.id, m.author_external_id, m.author_name, m.author_is_bot, m.text, m.sent_at, m.importance_label, m.importance_score,
  null::uuid as parent_id
from ingest.message m
where m.workspace_id = $1 and m.id = any ($2::uuid[]) and m.deleted_at is null
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
order by m.id;

-- name: add_run
insert into extractor.run
  (workspace_id, id, window_id, task_id, engine, model, prompt_version, outcome, tokens_in, tokens_out, model_calls,
   duration_seconds, message_count, noise_count, atom_count, rejected)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16);

-- name: put_topic
-- The title of a merged topic means the topic that it was merged into. That the window gave the title is told of the topic that bears it.
with meant as (
  select c.id, t.id as bearer_id from extractor.topic t
  join extractor.topic c on c.workspace_id = t.workspace_id and c.id = t.merged_into and c.retired_at is null
  where t.workspace_id = $1 and t.source_id = $3 and t.title_key = $5 and t.merged_into is not null
    and not exists (select from extractor.topic o where o.workspace_id = $1 and o.source_id = $3 and o.title_key = $5
      and o.retired_at is null)
  order by t.id desc limit 1),
made as (
  insert into extractor.topic as t (workspace_id, id, source_id, title, title_key, text_sha256, is_traced)
  select $1, $2, $3, $4, $5, $6, true where not exists (select from meant)
  on conflict (workspace_id, source_id, title_key) where retired_at is null do update set updated_at = now()
  returning t.id, t.id = $2 as created),
found as (
  select m.id, m.bearer_id, false as created from meant m
  union all
  select m.id, m.id, m.created from made m),
given as (
  insert into extractor.title_window (workspace_id, topic_id, window_id) select $1, f.bearer_id, $7 from found f
  on conflict do nothing)
select f.id, f.created from found f;

-- name: add_topic_version
insert into extractor.topic_version (workspace_id, topic_id, version, title, run_id) values ($1, $2, 1, $3, $4);

-- name: count_topic_messages
update extractor.topic_version v set message_count =
  (select count(*) from extractor.topic_message m where m.workspace_id = v.workspace_id and m.topic_id = v.topic_id)
from extractor.topic t
where v.workspace_id = $1 and t.workspace_id = v.workspace_id and t.id = v.topic_id and v.version = t.version
  and t.id = any ($2::uuid[]);

-- name: forget_topic_messages
-- But for what a reading could not read.
delete from extractor.topic_message t
where t.workspace_id = $1 and t.window_id = $2 and (t.assigned_by = 'extraction' and t.message_id <> all ($3::uuid[]) or not exists (
  select from ingest.message m where m.workspace_id = t.workspace_id and m.id = t.message_id and m.deleted_at is null))
returning t.topic_id, t.message_id;

-- name: add_topic_messages
-- What a person has put into a topic is in no other than those that had it before ($5, $6).
insert into extractor.topic_message (workspace_id, topic_id, message_id, window_id)
select $1, x.topic_id, x.message_id, $4
from unnest($2::uuid[], $3::uuid[]) as x (topic_id, message_id)
where not exists (
  select from extractor.topic_message p
  where p.workspace_id = $1 and p.message_id = x.message_id and p.assigned_by = 'person')
  or (x.topic_id, x.message_id) in (select * from unnest($5::uuid[], $6::uuid[]))
order by x.topic_id, x.message_id
on conflict (workspace_id, topic_id, message_id) do nothing;

-- name: retire_empty_topics
update extractor.topic t set retired_at = now(), updated_at = now()
where t.workspace_id = $1 and t.id = any ($2::uuid[]) and t.retired_at is null
  and not exists (
    select from extractor.topic_message m where m.workspace_id = t.workspace_id and m.topic_id = t.id)
returning t.id;

-- name: known_atoms_of_window
-- Those merged into others too. What a rule approved nobody has judged, and what comparing ended no person has.
select a.id, a.version, case when a.judged_by = 'rule' then 'proposed' else a.approval_state end as approval_state, a.origin,
  a.valid_to is not null and a.superseded_by is null as is_ended, a.invalidated_at is not null as is_invalidated,
  coalesce(a.merged_by, '') as merged_by,
  array(select v.title || E'\n' || v.content from extractor.atom_version v
        where v.workspace_id = a.workspace_id and v.atom_id = a.id order by v.version desc limit 20) as texts,
  array(select v.type from extractor.atom_version v
        where v.workspace_id = a.workspace_id and v.atom_id = a.id order by v.version desc limit 20) as types,
  array(select e.message_id from extractor.atom_evidence e
        where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is null order by e.message_id) as message_ids,
  (select count(*) from extractor.atom_evidence e
    join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id
    where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is null
      and m.deleted_at is null and strpos(m.text, e.quote) > 0) as standing,
  (select count(*) from extractor.atom_evidence e
    join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id
    where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is not null
      and m.deleted_at is null and strpos(m.text, e.quote) > 0) as borrowed
from extractor.atom a
where a.workspace_id = $1 and a.window_id = $2
  and (a.retired_at is null or a.invalidated_at is not null or a.merged_into is not null)
order by a.id
for update of a;

-- name: add_atoms
insert into extractor.atom
  (workspace_id, id, source_id, window_id, topic_id, type, title, content, text_sha256, confidence, valid_from)
select $1, x.id, $2, $3, x.topic_id, x.type, x.title, x.content, x.text_sha256, x.confidence, x.valid_from
from unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::bytea[], $10::real[], $11::timestamptz[])
  as x (id, topic_id, type, title, content, text_sha256, confidence, valid_from)
order by x.id;

-- name: change_atom
update extractor.atom a
set topic_id = $3, type = $4, title = $5, content = $6, text_sha256 = $7, confidence = $8, valid_from = $9, version = $10,
    updated_at = now(), approval_state = case when $10 > a.version then 'proposed' else a.approval_state end,
    judged_by = case when $10 > a.version then 'person' else a.judged_by end
where a.workspace_id = $1 and a.id = $2;

-- name: move_held_atoms
update extractor.atom a set topic_id = x.topic_id
from unnest($2::uuid[], $3::uuid[]) as x (id, topic_id)
where a.workspace_id = $1 and a.id = x.id and a.topic_id is distinct from x.topic_id;

-- name: leave_topics
update extractor.atom a set topic_id = null
where a.workspace_id = $1 and a.topic_id = any ($2::uuid[])
  and (a.retired_at is null or a.invalidated_at is not null or a.merged_into is not null);

-- name: add_atom_versions
insert into extractor.atom_version (workspace_id, atom_id, version, type, title, content, run_id)
select $1, x.atom_id, x.version, x.type, x.title, x.content, $2
from unnest($3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[]) as x (atom_id, version, type, title, content)
order by x.atom_id;

-- name: retire_atoms
update extractor.atom set retired_at = coalesce(retired_at, now()), invalidated_at = null, updated_at = now()
where workspace_id = $1 and id = any ($2::uuid[]);

-- name: forget_lost_evidence
delete from extractor.atom_evidence e
where e.workspace_id = $1 and e.atom_id = any ($2::uuid[]) and not exists (
  select from ingest.message m
  where m.workspace_id = e.workspace_id and m.id = e.message_id and m.deleted_at is null and strpos(m.text, e.quote) > 0);

-- name: realign_evidence
update extractor.atom_evidence e set quote_offset = strpos(m.text, e.quote) - 1
from ingest.message m
where e.workspace_id = $1 and e.atom_id = any ($2::uuid[]) and m.workspace_id = e.workspace_id and m.id = e.message_id
  and substr(m.text, e.quote_offset + 1, char_length(e.quote)) <> e.quote;

-- name: forget_evidence
delete from extractor.atom_evidence where workspace_id = $1 and via_atom_id is null and atom_id = any ($2::uuid[]);

-- name: add_evidence
insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset)
select $1, x.atom_id, x.message_id, x.position, x.quote, x.quote_offset
from unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::int[]) as x (atom_id, message_id, position, quote, quote_offset)
order by x.atom_id, x.message_id
on conflict (workspace_id, atom_id, message_id) do update
set position = excluded.position, quote = excluded.quote, quote_offset = excluded.quote_offset, via_atom_id = null;

-- name: forget_links
-- Those that readings made; what comparing found stands as long as the words do.
delete from extractor.atom_link
where workspace_id = $1 and origin = 'extraction' and (from_atom_id = any ($2::uuid[]) or to_atom_id = any ($2::uuid[]));

-- name: add_links
insert into extractor.atom_link (workspace_id, from_atom_id, to_atom_id, type, confidence, run_id)
select $1, x.from_atom_id, x.to_atom_id, x.type, x.confidence, $2
from unnest($3::uuid[], $4::uuid[], $5::text[], $6::real[]) as x (from_atom_id, to_atom_id, type, confidence)
order by x.from_atom_id, x.to_atom_id, x.type
on conflict (workspace_id, from_atom_id, to_atom_id, type) do nothing;

-- name: windows_with_runs
select distinct r.window_id from extractor.run r where r.workspace_id = $1 and r.window_id = any ($2::uuid[]);
