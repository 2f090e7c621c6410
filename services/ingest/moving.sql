-- name: numbered_messages
-- In the order in which every writer locks them. Such a number may be too large to be renumbered.
select m.id from ingest.message m
where m.workspace_id = $1 and m.source_id = $2
  and (m.external_id ~ '^[0-9]+$' or m.reply_to_external_id ~ '^[0-9]+$')
order by m.external_id collate "C"
limit $3;

-- name: lock_messages
select m.id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name, m.author_is_bot,
  m.text, m.sent_at, m.edited_at, m.entities, m.attachments, m.forwarded_from, m.content_sha256
from ingest.message m
where m.workspace_id = $1 and m.id = any ($2::uuid[])
order by m.external_id collate "C"
for update;

-- name: renumber_messages
update ingest.message m set
  external_id = x.external_id, reply_to_external_id = x.reply_to_external_id, content_sha256 = x.content_sha256
from unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[]) as x (id, external_id, reply_to_external_id, content_sha256)
where m.workspace_id = $1 and m.id = x.id;

-- name: move_source
update ingest.source s set
  external_id = $4, title = case when $5 in ('', $4) then s.title else $5 end, revision = s.revision + 1
where s.workspace_id = $1 and s.id = $2 and s.external_id = $3
returning s.id;

-- name: add_former_source
insert into ingest.former_source (workspace_id, kind, external_id, source_id, number_shift, key_suffix)
values ($1, $2, $3, $4, $5, $6);
