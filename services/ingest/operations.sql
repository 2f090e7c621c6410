-- name: operation_of_request
select o.id, o.kind, o.request_sha256 from ingest.operation o where o.workspace_id = $1 and o.request_id = $2;

-- name: add_operation
insert into ingest.operation (workspace_id, kind, dry_run, source_id, sent_after, sent_before, request_id, request_sha256)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning id;

-- name: operations
select o.id, o.kind, o.dry_run, o.created_at, coalesce(t.open, 0) as open, coalesce(t.dead, 0) as dead, t.finished_at
from (
  select x.id, x.kind, x.dry_run, x.created_at from ingest.operation x
  where x.workspace_id = $1 and ($2::uuid is null or x.id = $2) and ($3::uuid is null or x.id < $3)
  order by x.id desc limit $4) o
left join lateral spine.operation_tasks($1, array[o.id]) t on true
order by o.id desc;

-- name: erase_receipt
-- In one statement, so that a chunk that goes meanwhile is counted here or there.
select r.messages, r.vectors, r.evidence, r.atoms, r.atoms_read_again, r.topic_links, r.window_memberships, r.remaining,
  (select count(*) from ingest.message_to_erase t where t.workspace_id = $1 and t.operation_id = $2) as waiting
from spine.erasure_receipt($1, $2) r;

-- name: rescore_receipt
select coalesce(sum(b.messages), 0)::bigint as messages, coalesce(sum(b.scores_changed), 0)::bigint as scores_changed,
  coalesce(sum(b.became_noise), 0)::bigint as became_noise, coalesce(sum(b.became_weak), 0)::bigint as became_weak,
  coalesce(sum(b.became_signal), 0)::bigint as became_signal
from ingest.rescored_batch b
where b.workspace_id = $1 and b.operation_id = $2;

-- name: source_exists
select true from ingest.source s where s.workspace_id = $1 and s.id = $2;

-- name: remember_keys
-- Keys of messages that are not known, so that what they name is erased when it comes.
insert into ingest.message
  (workspace_id, source_id, id, external_id, text, sent_at, deleted_at, content_sha256, text_sha256,
   importance_score, importance_label, importance_factors, importance_version)
select $1, $2, x.id, x.external_id, '', now(), now(), decode(repeat('00', 32), 'hex'), sha256(''), 0, 'noise', '{}', ''
from unnest($3::uuid[], $4::text[]) as x (id, external_id)
order by x.external_id collate "C"
on conflict (workspace_id, source_id, external_id) do nothing;

-- name: messages_to_erase
-- By key, by author or of a whole source, in the order in which every writer locks them.
select m.id from ingest.message m
where m.workspace_id = $1 and m.erased_at is null and ($2::uuid is null or m.source_id = $2)
  and ($3::text[] is null or m.external_id = any ($3::text[])) and ($4::text = '' or m.author_external_id = $4)
order by m.source_id, m.external_id collate "C" limit $5;

-- name: write_down_messages
-- The next $6 of the messages in the order of their ids, by author or of a whole source; returns the chunks that they make.
with found as materialized (
  select m.id, (row_number() over (order by m.id) - 1) / $7::int as chunk
  from (
    select x.id from ingest.message x
    where x.workspace_id = $1 and x.erased_at is null and x.id > $5 and ($3::uuid is null or x.source_id = $3)
      and ($4::text = '' or x.author_external_id = $4)
    order by x.id limit $6::int) m),
written as (
  insert into ingest.message_to_erase (workspace_id, message_id, operation_id)
  select $1, f.id, $2 from found f order by f.id)
select (array_agg(f.id order by f.id))[1] as first, (array_agg(f.id order by f.id desc))[1] as last, count(*) as messages
from found f group by f.chunk order by f.chunk;

-- name: take_chunk
delete from ingest.message_to_erase t
where t.workspace_id = $1 and t.operation_id = $2 and t.message_id between $3 and $4
returning t.message_id;

-- name: erase_messages
with chosen as (
  select m.id from ingest.message m
  where m.workspace_id = $1 and m.id = any ($2::uuid[]) and m.erased_at is null
  order by m.source_id, m.external_id collate "C"
  for update)
update ingest.message m set
  erased_at = now(), deleted_at = coalesce(m.deleted_at, now()), text = '', author_external_id = '', author_name = '',
  author_is_bot = false, reply_to_external_id = '', entities = null, attachments = null, forwarded_from = null,
  content_sha256 = decode(repeat('00', 32), 'hex'), text_sha256 = sha256(''),
  importance_score = 0, importance_label = 'noise', importance_factors = '{}', importance_version = ''
from chosen
where m.workspace_id = $1 and m.id = chosen.id
returning new.id, new.source_id, new.thread_id, new.sent_at, new.external_id, old.text, old.deleted_at is null as was_live,
  old.content_sha256 <> decode(repeat('00', 32), 'hex') as was_known;

-- name: forget_source_title
update ingest.source s set title = '' where s.workspace_id = $1 and s.id = $2 and s.title <> '';

-- name: add_erasure
insert into ingest.erasure (workspace_id, operation_id, chunk, message_ids) values ($1, $2, $3, $4);

-- name: rescore
select o.dry_run, o.source_id, o.sent_after, o.sent_before, b.source_id as after_source, b.thread_id as after_thread,
  b.sent_at as after_sent_at, b.message_id as after_message
from ingest.operation o
left join ingest.rescored_batch b on b.workspace_id = o.workspace_id and b.operation_id = o.id and b.batch = $3 - 1
where o.workspace_id = $1 and o.id = $2;

-- name: messages_to_rescore
-- With those that are deleted, which were said all the same, and how often their sources had been written to.
select m.id, m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at, m.deleted_at, m.content_sha256, m.importance_score, m.importance_label,
  m.importance_factors::text as importance_factors, m.importance_version,
  (select s.revision from ingest.source s where s.workspace_id = $1 and s.id = m.source_id) as source_revision
from ingest.message m
where m.workspace_id = $1 and m.content_sha256 <> decode(repeat('00', 32), 'hex')
  and ($2::uuid is null or ((m.source_id, m.thread_id, m.sent_at) >= ($2, $3::text, $4::timestamptz)
    and (m.source_id, m.thread_id, m.sent_at, length(m.external_id), m.external_id collate "C") > (
      select $2::uuid, $3::text, $4::timestamptz, length(p.external_id), p.external_id collate "C"
      from ingest.message p where p.workspace_id = $1 and p.id = $5)))
  and ($6::uuid is null or m.source_id = $6)
  and ($7::timestamptz is null or m.sent_at >= $7) and ($8::timestamptz is null or m.sent_at < $8)
order by m.source_id, m.thread_id, m.sent_at, length(m.external_id), m.external_id collate "C"
limit $9;

-- name: said_before
select m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at
from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) as c (source_id, thread_id, sent_at, external_id)
cross join lateral (
  select t.id, t.source_id, t.external_id, t.thread_id, t.reply_to_external_id, t.author_external_id, t.author_name,
    t.author_is_bot, t.text, t.sent_at
  from ingest.message t
  where t.workspace_id = $1 and t.source_id = c.source_id and t.thread_id = c.thread_id
    and t.sent_at <= c.sent_at
    and (t.sent_at, length(t.external_id), t.external_id collate "C") < (c.sent_at, length(c.external_id), c.external_id collate "C")
    and t.content_sha256 <> decode(repeat('00', 32), 'hex')
  order by t.sent_at desc, length(t.external_id) desc, t.external_id collate "C" desc
  limit $6) m
order by m.source_id, m.thread_id, m.sent_at, length(m.external_id), m.external_id collate "C";

-- name: replied_to
select m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at
from unnest($2::uuid[], $3::text[]) as c (source_id, external_id)
join ingest.message m on m.workspace_id = $1 and m.source_id = c.source_id and m.external_id = c.external_id
where m.content_sha256 <> decode(repeat('00', 32), 'hex');

-- name: put_scores
with locked as (
  select m.id from ingest.message m
  where m.workspace_id = $1 and m.id = any ($2::uuid[]) and m.deleted_at is null
  order by m.source_id, m.external_id collate "C"
  for update)
update ingest.message m set
  importance_score = x.score, importance_label = x.label, importance_factors = x.factors, importance_version = $7
from unnest($2::uuid[], $3::bytea[], $4::real[], $5::text[], $6::jsonb[]) as x (id, content_sha256, score, label, factors)
join locked l on l.id = x.id
where m.workspace_id = $1 and m.id = x.id and m.content_sha256 = x.content_sha256 and m.deleted_at is null
returning m.id;

-- name: add_rescored_batch
insert into ingest.rescored_batch
  (workspace_id, operation_id, batch, source_id, thread_id, sent_at, message_id, messages, scores_changed, became_noise,
   became_weak, became_signal)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);
