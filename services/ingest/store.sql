-- name: find_source
-- By the key that it has, or by one that it had; of a move that kept the numbers, those of the next that did not hold.
select s.id, s.external_id, 0::bigint as number_shift, '' as key_suffix
from ingest.source s
where s.workspace_id = $1 and s.kind = $2 and s.external_id = $3
union all
select s.id, s.external_id, coalesce(n.number_shift, 0), coalesce(n.key_suffix, '')
from ingest.former_source f
join ingest.source s on s.workspace_id = f.workspace_id and s.id = f.source_id
left join lateral (
  select l.number_shift, l.key_suffix from ingest.former_source l
  where l.workspace_id = f.workspace_id and l.kind = f.kind and l.source_id = f.source_id and l.number_shift <> 0
    and l.moved_at >= f.moved_at
  order by l.moved_at limit 1) n on true
where f.workspace_id = $1 and f.kind = $2 and f.external_id = $3;

-- name: make_source
insert into ingest.source as s (workspace_id, kind, external_id, title)
values ($1, $2, $3, $4)
on conflict (workspace_id, kind, external_id) do nothing
returning s.id;

-- name: retitle_source
update ingest.source s set title = $3 where s.workspace_id = $1 and s.id = $2 and s.title <> $3;

-- name: source_revision
select s.revision from ingest.source s where s.workspace_id = $1 and s.id = $2;

-- name: raise_source_revision
update ingest.source s set revision = s.revision + 1 where s.workspace_id = $1 and s.id = $2
returning old.revision, old.title, old.external_id;

-- name: hold_source_revision
select s.revision, s.title, s.external_id from ingest.source s where s.workspace_id = $1 and s.id = $2 for share;

-- name: hold_source_key
-- Others may write meanwhile, but not move it.
select s.revision, s.title, s.external_id from ingest.source s where s.workspace_id = $1 and s.id = $2 for key share;

-- name: put_messages
-- A column may be shorter than the others: the rest says nothing there. What is erased, or is to be, takes no later version.
insert into ingest.message as m
  (workspace_id, source_id, id, external_id, thread_id, reply_to_external_id, author_external_id, author_name,
   author_is_bot, text, sent_at, edited_at, entities, attachments, forwarded_from, zone_assumed, content_sha256, text_sha256,
   importance_score, importance_label, importance_factors, importance_version)
select $1, $2, x.id, x.external_id, coalesce(x.thread_id, ''), coalesce(x.reply_to_external_id, ''),
  coalesce(x.author_external_id, ''), coalesce(x.author_name, ''), coalesce(x.author_is_bot, false), x.text, x.sent_at, x.edited_at, x.entities, x.attachments, x.forwarded_from, coalesce(x.zone_assumed, false), x.content_sha256, x.text_sha256,
  x.importance_score, x.importance_label, x.importance_factors, $3
from unnest(
  $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::boolean[], $11::text[],
  $12::timestamptz[], $13::timestamptz[], $14::jsonb[], $15::jsonb[], $16::jsonb[], $17::bytea[], $18::bytea[],
  $19::real[], $20::text[], $21::jsonb[], $22::boolean[]) as x
  (id, external_id, thread_id, reply_to_external_id, author_external_id, author_name, author_is_bot, text,
   sent_at, edited_at, entities, attachments, forwarded_from, content_sha256, text_sha256,
   importance_score, importance_label, importance_factors, zone_assumed)
order by x.external_id collate "C"
on conflict (workspace_id, source_id, external_id) do update set
  thread_id = excluded.thread_id, reply_to_external_id = excluded.reply_to_external_id,
  author_external_id = excluded.author_external_id, author_name = excluded.author_name,
  author_is_bot = excluded.author_is_bot, text = excluded.text, sent_at = excluded.sent_at,
  edited_at = excluded.edited_at, entities = excluded.entities, attachments = excluded.attachments, forwarded_from = excluded.forwarded_from,
  zone_assumed = excluded.zone_assumed, content_sha256 = excluded.content_sha256, text_sha256 = excluded.text_sha256,
  importance_score = excluded.importance_score, importance_label = excluded.importance_label,
  importance_factors = excluded.importance_factors, importance_version = excluded.importance_version,
  revised_at = case when m.text_sha256 = excluded.text_sha256 then m.revised_at else now() end
where m.erased_at is null and (m.content_sha256 = decode(repeat('00', 32), 'hex')
  or (not excluded.zone_assumed, greatest(excluded.edited_at, excluded.sent_at), coalesce(excluded.edited_at, '-infinity'), excluded.thread_id <> '',
      excluded.author_is_bot, excluded.forwarded_from is not null, excluded.content_sha256)
     > (not m.zone_assumed, greatest(m.edited_at, m.sent_at), coalesce(m.edited_at, '-infinity'), m.thread_id <> '', m.author_is_bot,
      m.forwarded_from is not null, m.content_sha256))
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
returning new.external_id, new.id, old.id is null as created, new.deleted_at is null as live,
  old.text_sha256 is distinct from new.text_sha256 as text_changed, old.thread_id as old_thread_id, old.sent_at as old_sent_at,
  case when old.text_sha256 is distinct from new.text_sha256 then old.text end as old_text;

-- name: disturbed_threads
-- Threads in which others than some messages come after a place and not after another (infinity and null for any); the limit
-- keeps it from reading whole conversations.
select distinct c.thread_id
from unnest($3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[], $7::text[])
  as c (thread_id, sent_at, external_id, last_sent_at, last_external_id)
cross join lateral (
  select from ingest.message t
  where t.workspace_id = $1 and t.source_id = $2 and t.thread_id = c.thread_id
    and t.sent_at >= c.sent_at and t.sent_at <= c.last_sent_at
    and (t.sent_at, length(t.external_id), t.external_id collate "C") > (c.sent_at, length(c.external_id), c.external_id collate "C")
    and (c.last_external_id is null
      or (t.sent_at, length(t.external_id), t.external_id collate "C") < (c.last_sent_at, length(c.last_external_id), c.last_external_id collate "C"))
    and t.external_id <> all ($8::text[]) and t.content_sha256 <> decode(repeat('00', 32), 'hex')
  order by t.sent_at limit 1) t;

-- name: interrupted_places
-- Places, each with the next of its thread (infinity and null after the last), between which others come. Behind row-level
-- security only plain comparisons bound the index, so no coalesce().
select c.number
from unnest($3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[], $7::text[]) with ordinality
  as c (thread_id, sent_at, external_id, next_sent_at, next_external_id, number)
cross join lateral (
  select from ingest.message t
  where t.workspace_id = $1 and t.source_id = $2 and t.thread_id = c.thread_id
    and t.sent_at >= c.sent_at and t.sent_at <= c.next_sent_at
    and (t.sent_at, length(t.external_id), t.external_id collate "C") > (c.sent_at, length(c.external_id), c.external_id collate "C")
    and (c.next_external_id is null
      or (t.sent_at, length(t.external_id), t.external_id collate "C") < (c.next_sent_at, length(c.next_external_id), c.next_external_id collate "C"))
    and t.content_sha256 <> decode(repeat('00', 32), 'hex')
  order by t.sent_at limit 1) t;

-- name: followed_places
-- Places of what is erased, directly after which something comes that stays. What is to be erased as well is followed by what
-- stays then, or is followed itself. Messages of one moment, which may be very many, are read once.
with place as (
  select c.thread_id, c.sent_at, c.external_id, c.number
  from unnest($3::text[], $4::timestamptz[], $5::text[]) with ordinality as c (thread_id, sent_at, external_id, number)),
moment as materialized (
  select p.thread_id, p.sent_at, lead(p.sent_at, 1, 'infinity') over (partition by p.thread_id order by p.sent_at) as next_sent_at
  from place p group by p.thread_id, p.sent_at),
said as (
  select p.thread_id, p.sent_at, p.external_id, p.number, null::uuid as id from place p
  union all
  select c.thread_id, c.sent_at, t.external_id, null, t.id
  from moment c
  cross join lateral (
    select m.id, m.external_id from ingest.message m
    where m.workspace_id = $1 and m.source_id = $2 and m.thread_id = c.thread_id and m.sent_at = c.sent_at
      and m.content_sha256 <> decode(repeat('00', 32), 'hex') offset 0) t),
ordered as materialized (
  select s.thread_id, s.sent_at, s.number, lead(s.id) over w as next_id, lead(s.external_id) over w is null as is_last
  from said s
  window w as (partition by s.thread_id, s.sent_at order by length(s.external_id), s.external_id collate "C")),
followed as (
  select o.number, o.next_id from ordered o where o.number is not null and o.next_id is not null
  union all
  select o.number, t.id
  from ordered o
  join moment c on c.thread_id = o.thread_id and c.sent_at = o.sent_at
  cross join lateral (
    select m.id from ingest.message m
    where m.workspace_id = $1 and m.source_id = $2 and m.thread_id = c.thread_id
      and m.sent_at > c.sent_at and m.sent_at <= c.next_sent_at
      and m.content_sha256 <> decode(repeat('00', 32), 'hex')
    order by m.sent_at, length(m.external_id), m.external_id collate "C" limit 1) t
  where o.number is not null and o.is_last)
select f.number from followed f
where not exists (select from ingest.message_to_erase e where e.workspace_id = $1 and e.message_id = f.next_id)
order by f.number;

-- name: replies_to
select m.reply_to_external_id, m.thread_id, m.sent_at, m.external_id
from ingest.message m
where m.workspace_id = $1 and m.source_id = $2 and m.reply_to_external_id <> ''
  and m.reply_to_external_id = any ($3::text[]) and m.external_id <> all ($3::text[])
  and m.content_sha256 <> decode(repeat('00', 32), 'hex');

-- name: around_places
-- Between two places that follow one another (infinity and null where there is none), the messages after the first, whose scores
-- depend on it, and, unless those reach the second, it and those before it, on which its score depends. So no message is read
-- twice, however close the places are. Behind row-level security only plain comparisons bound the index.
select m.id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name, m.author_is_bot,
  m.text, m.importance_score, m.importance_label, m.importance_factors::text as importance_factors, m.importance_version,
  m.deleted_at, m.depends
from unnest($3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[], $7::text[]) with ordinality
  as g (thread_id, sent_at, external_id, next_sent_at, next_external_id, number)
cross join lateral (
  with following as materialized (
    select a.*
    from ingest.message a
    where a.workspace_id = $1 and a.source_id = $2 and a.thread_id = g.thread_id
      and a.sent_at >= g.sent_at and a.sent_at <= g.next_sent_at
      and (a.sent_at, length(a.external_id), a.external_id collate "C") > (g.sent_at, length(g.external_id), g.external_id collate "C")
      and (a.sent_at, length(a.external_id), a.external_id collate "C")
        <= (g.next_sent_at, length(g.next_external_id), g.next_external_id collate "C")
      and a.content_sha256 <> decode(repeat('00', 32), 'hex') and g.external_id is not null
    order by a.sent_at, length(a.external_id), a.external_id collate "C"
    limit $8)
  select f.*, true as depends from following f
  union all
  select b.*, b.external_id = g.next_external_id
  from (
    select l.*
    from ingest.message l
    where l.workspace_id = $1 and l.source_id = $2 and l.thread_id = g.thread_id
      and l.sent_at >= g.sent_at and l.sent_at <= g.next_sent_at
      and (l.sent_at, length(l.external_id), l.external_id collate "C") > (g.sent_at, length(g.external_id), g.external_id collate "C")
      and (l.sent_at, length(l.external_id), l.external_id collate "C")
        <= (g.next_sent_at, length(g.next_external_id), g.next_external_id collate "C")
      and l.content_sha256 <> decode(repeat('00', 32), 'hex')
      and g.next_external_id is not null and (g.external_id is null or (select count(*) from following) = $8)
    order by l.sent_at desc, length(l.external_id) desc, l.external_id collate "C" desc
    limit $8 + 1) b
  where b.id <> all (array(select f.id from following f))) m
order by g.number, m.sent_at, length(m.external_id), m.external_id collate "C";

-- name: set_scores
-- A message that another transaction is changing is left to it: it will see what this one has stored. Of one that was erased
-- since it was read nothing is kept. A workspace or a source that the statistics do not know yet seems to be one row, to be read
-- whole and compared with each; as subqueries give their ids, they are planned for as ones of average size. So are those below.
with free as (
  select m.id from ingest.message m
  where m.workspace_id = (select $1::uuid) and m.id = any ($2::uuid[]) and m.erased_at is null
  order by m.external_id collate "C" for update skip locked)
update ingest.message m set
  importance_score = x.score, importance_label = x.label, importance_factors = x.factors, importance_version = $6
from free join unnest($2::uuid[], $3::real[], $4::text[], $5::jsonb[]) as x (id, score, label, factors) on x.id = free.id
where m.workspace_id = (select $1::uuid) and m.id = any ($2::uuid[]) and m.id = free.id;

-- name: kept_messages
-- What is to be erased counts as erased.
select m.external_id, m.id, m.deleted_at is not null as deleted,
  case when t.message_id is null then m.content_sha256 else decode(repeat('00', 32), 'hex') end as content_sha256
from ingest.message m
left join lateral (
  select e.message_id from ingest.message_to_erase e where e.workspace_id = m.workspace_id and e.message_id = m.id limit 1) t on true
where m.workspace_id = (select $1::uuid) and m.source_id = (select $2::uuid) and m.external_id = any ($3::text[]);

-- name: delete_messages
insert into ingest.message as m
  (workspace_id, source_id, id, external_id, text, sent_at, deleted_at, content_sha256, text_sha256,
   importance_score, importance_label, importance_factors, importance_version)
select $1, $2, x.id, x.external_id, '', $5, $5, decode(repeat('00', 32), 'hex'), sha256(''), 0, 'noise', '{}', ''
from unnest($3::uuid[], $4::text[]) as x (id, external_id)
order by x.external_id collate "C"
on conflict (workspace_id, source_id, external_id) do update set
  deleted_at = excluded.deleted_at,
  sent_at = case when m.content_sha256 = excluded.content_sha256 then excluded.sent_at else m.sent_at end
where m.deleted_at is null or m.deleted_at > excluded.deleted_at
returning new.id, old.id is null as remembered, old.id is not null and old.deleted_at is null as deleted;

-- name: conversation_tails
select m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at
from unnest($3::text[], $4::timestamptz[]) as c (thread_id, until)
cross join lateral (
  select t.id, t.external_id, t.thread_id, t.reply_to_external_id, t.author_external_id, t.author_name, t.author_is_bot,
    t.text, t.sent_at
  from ingest.message t
  where t.workspace_id = $1 and t.source_id = $2 and t.thread_id = c.thread_id and t.sent_at <= c.until
    and t.content_sha256 <> decode(repeat('00', 32), 'hex') and t.external_id <> all ($5::text[])
  order by t.sent_at desc, length(t.external_id) desc, t.external_id collate "C" desc
  limit $6) m
order by m.sent_at, length(m.external_id), m.external_id collate "C";

-- name: messages_by_key
select m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at
from ingest.message m
where m.workspace_id = (select $1::uuid) and m.source_id = (select $2::uuid) and m.external_id = any ($3::text[])
  and m.content_sha256 <> decode(repeat('00', 32), 'hex');

-- name: stored_draft
select m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name, m.author_is_bot,
  m.text, m.sent_at, m.edited_at, m.entities, m.attachments, m.forwarded_from, m.zone_assumed
from ingest.message m
where m.workspace_id = $1 and m.source_id = $2 and m.external_id = $3
  and m.content_sha256 <> decode(repeat('00', 32), 'hex')
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id);

-- name: message_by_key
select m.id from ingest.message m where m.workspace_id = $1 and m.source_id = $2 and m.external_id = $3;

-- name: get_message
select m.id, m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at, m.edited_at, m.deleted_at, m.received_at, m.entities, m.attachments, m.forwarded_from,
  m.importance_score, m.importance_label, m.importance_factors, m.importance_version, s.title as source_title
from ingest.message m
join ingest.source s on s.workspace_id = m.workspace_id and s.id = m.source_id
where m.workspace_id = $1 and m.id = $2 and m.content_sha256 <> decode(repeat('00', 32), 'hex')
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id);

-- name: list_messages
select m.id, m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at, m.edited_at, m.deleted_at, m.received_at, m.entities, m.attachments, m.forwarded_from,
  m.importance_score, m.importance_label, m.importance_factors, m.importance_version, s.title as source_title
from ingest.message m
join ingest.source s on s.workspace_id = m.workspace_id and s.id = m.source_id
where m.workspace_id = $1 and m.content_sha256 <> decode(repeat('00', 32), 'hex')
  and (m.sent_at, m.id) > ($2, $3)
  and ($4::uuid is null or m.source_id = $4)
  and m.sent_at >= $5 and m.sent_at < $6
  and ($7::text = '' or m.author_external_id = $7)
  and ($8::text = '' or m.importance_label = $8)
  and ($9::boolean or m.deleted_at is null)
  and ($10::text is null or m.thread_id = $10)
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
order by m.sent_at, m.id
limit $11;

-- name: list_sources
-- Live messages are all but the deleted ones, so that no message is read to count them.
select s.id, s.kind, s.external_id, s.title, s.created_at,
  (select count(*) from ingest.message m where m.workspace_id = s.workspace_id and m.source_id = s.id)
  - (select count(*) from ingest.message m
     where m.workspace_id = s.workspace_id and m.source_id = s.id and m.deleted_at is not null) as message_count
from ingest.source s
where s.workspace_id = $1 and s.id > $2
  and ($4::text = '' or s.kind = $4)
  and ($5::text = '' or s.external_id = $5 or exists (
    select from ingest.former_source f
    where f.workspace_id = s.workspace_id and f.source_id = s.id and f.external_id = $5))
order by s.id
limit $3;
