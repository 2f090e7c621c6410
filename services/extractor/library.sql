-- name: topics
select t.id, t.source_id, t.title, t.version, coalesce(s.messages, 0) as message_count, coalesce(a.atoms, 0) as atom_count,
  s.first_at, coalesce(s.last_at, t.created_at) as last_at
from extractor.topic t
left join lateral (
  select count(*) as messages, min(m.sent_at) as first_at, max(m.sent_at) as last_at
  from extractor.topic_message tm
  join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
  where tm.workspace_id = t.workspace_id and tm.topic_id = t.id) s on true
left join lateral (
  select count(*) as atoms from extractor.atom x
  where x.workspace_id = t.workspace_id and x.topic_id = t.id and x.retired_at is null) a on true
where t.workspace_id = $1 and t.retired_at is null and ($2::uuid is null or t.source_id = $2) and ($3::uuid[] is null or t.id = any ($3))
  and ($4::timestamptz is null or (coalesce(s.last_at, t.created_at), t.id) < ($4, $5::uuid))
order by coalesce(s.last_at, t.created_at) desc, t.id desc
limit $6;

-- name: topic_messages
select tm.message_id from extractor.topic_message tm
join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
where tm.workspace_id = $1 and tm.topic_id = $2
order by m.sent_at, m.id
limit 1000;

-- name: topic_atoms
select a.id from extractor.atom a
where a.workspace_id = $1 and a.topic_id = $2 and a.retired_at is null
order by a.id
limit 1000;

-- name: atoms
select a.id, a.source_id, a.type, a.title, a.content, a.confidence, a.approval_state, a.version, a.topic_id,
  t.title as topic_title, a.valid_from, a.valid_to, a.created_at, a.updated_at, a.invalidated_at
from extractor.atom a
left join extractor.topic t on t.workspace_id = a.workspace_id and t.id = a.topic_id
where a.workspace_id = $1
  and case when $8::bool then a.invalidated_at is not null
    else a.retired_at is null or $5::uuid[] is not null and a.invalidated_at is not null end
  and ($9 = '' or a.approval_state = $9)
  and ($2 = '' or a.type = $2) and ($3::uuid is null or a.topic_id = $3) and ($4::uuid is null or a.source_id = $4)
  and ($5::uuid[] is null or a.id = any ($5)) and ($6::uuid is null or a.id < $6)
order by a.id desc
limit $7;

-- name: evidence
select e.atom_id, e.message_id, e.quote, e.quote_offset
from extractor.atom_evidence e
where e.workspace_id = $1 and e.atom_id = any ($2::uuid[])
order by e.atom_id, e.position;

-- name: messages
select m.id, m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at, m.edited_at, m.importance_score, m.importance_label, s.title as source_title
from ingest.message m
join ingest.source s on s.workspace_id = m.workspace_id and s.id = m.source_id
where m.workspace_id = $1 and m.id = any ($2::uuid[]);

-- name: links
select l.from_atom_id, l.to_atom_id, l.type, l.confidence
from extractor.atom_link l
join extractor.atom f on f.workspace_id = l.workspace_id and f.id = l.from_atom_id and f.retired_at is null
join extractor.atom t on t.workspace_id = l.workspace_id and t.id = l.to_atom_id and t.retired_at is null
where l.workspace_id = $1 and (l.from_atom_id = $2 or l.to_atom_id = $2)
order by l.from_atom_id, l.to_atom_id, l.type;

-- name: versions
select v.version, v.type, v.title, v.content, v.approval_state, v.created_at, v.run_id, v.origin,
  last.reason, last.created_at as reviewed_at
from extractor.atom_version v
left join lateral (
  select r.reason, r.created_at from extractor.review r
  where r.workspace_id = v.workspace_id and r.atom_id = v.atom_id and r.version = v.version
  order by r.id desc limit 1) last on true
where v.workspace_id = $1 and v.atom_id = $2 and ($3::int is null or v.version < $3)
order by v.version desc
limit $4;

-- name: runs
select r.id, r.window_id, r.engine, r.model, r.prompt_version, r.outcome, r.tokens_in, r.tokens_out, r.model_calls,
  r.duration_seconds, r.message_count, r.noise_count, r.atom_count, r.rejected, r.created_at
from extractor.run r
where r.workspace_id = $1 and ($2 = '' or r.outcome = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc
limit $4;

-- name: feed_end
select coalesce((select p.position from extractor.feed_position p where p.workspace_id = $1), 0);

-- name: changes
select f.position, f.kind, f.subject_id from extractor.feed f
where f.workspace_id = $1 and f.position > $2
order by f.position
limit $3;
