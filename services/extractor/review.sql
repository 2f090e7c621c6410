-- name: lock_atom
select a.id, a.type, a.title, a.content, a.version, a.valid_from, a.text_sha256, a.invalidated_at, a.retired_at
from extractor.atom a
where a.workspace_id = $1 and a.id = $2 and (a.retired_at is null or a.invalidated_at is not null)
for update;

-- name: review_of_request
select r.request_sha256 from extractor.review r where r.workspace_id = $1 and r.request_id = $2;

-- name: add_review
insert into extractor.review (workspace_id, atom_id, version, verdict, reason, key_id, request_id, request_sha256)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (workspace_id, request_id) where request_id is not null do nothing
returning id;

-- name: judge_version
update extractor.atom_version v set approval_state = $4
where v.workspace_id = $1 and v.atom_id = $2 and v.version = $3
returning v.version;

-- name: judge_atom
update extractor.atom a set approval_state = $3, judged_by = 'person'
where a.workspace_id = $1 and a.id = $2 and (a.approval_state <> $3 or a.judged_by <> 'person');

-- name: edit_atom
update extractor.atom a
set type = $3, title = $4, content = $5, text_sha256 = $6, version = $7, origin = 'person', approval_state = 'approved',
    judged_by = 'person', updated_at = now()
where a.workspace_id = $1 and a.id = $2;

-- name: add_edited_version
insert into extractor.atom_version
  (workspace_id, atom_id, version, type, title, content, approval_state, origin, change, evidence_count)
select $1, $2, $3, $4, $5, $6, 'approved', 'person', 'edited',
  (select count(*) from extractor.atom_evidence e where e.workspace_id = $1 and e.atom_id = $2);

-- name: end_atom
update extractor.atom a set valid_to = $3, superseded_by = null where a.workspace_id = $1 and a.id = $2;

-- name: invalidate_atom
update extractor.atom a set invalidated_at = now(), retired_at = now()
where a.workspace_id = $1 and a.id = $2 and a.invalidated_at is null;

-- name: merged_atom
select a.merged_into, a.version from extractor.atom a
where a.workspace_id = $1 and a.id = $2 and a.merged_into is not null
for update;

-- name: siblings
select a.id from extractor.atom a where a.workspace_id = $1 and a.merged_into = $2 order by a.id;

-- name: restore_atom
update extractor.atom a set invalidated_at = null, retired_at = null where a.workspace_id = $1 and a.id = $2;
