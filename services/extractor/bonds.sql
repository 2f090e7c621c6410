-- name: lock_knowledge
-- One transaction at a time may change what the workspace's atoms and topics are to each other: comparing and joining are one step.
select pg_advisory_xact_lock(hashtextextended('extractor.knowledge:' || $1::uuid::text, 0));

-- name: join_atoms
-- What was merged into the joining atoms goes with them, so that no chain is ever longer than one.
update extractor.atom a
set merged_into = $2, merged_by = case when a.id = any ($3::uuid[]) then $4 else a.merged_by end,
    retired_at = coalesce(a.retired_at, now())
where a.workspace_id = $1 and (a.id = any ($3::uuid[]) or a.merged_into = any ($3::uuid[])) and a.id <> $2;

-- name: inherit_ends
-- Atoms that still hold end where the first of those merged into them was ended, by what its ender is part of now, unless a person
-- has judged them.
update extractor.atom a set valid_to = x.valid_to, superseded_by = x.ender
from (
  select distinct on (g.merged_into) g.merged_into as id, g.valid_to, c.id as ender
  from extractor.atom g
  join extractor.atom e on e.workspace_id = g.workspace_id and e.id = g.superseded_by
  join extractor.atom c on c.workspace_id = e.workspace_id and c.id = coalesce(e.merged_into, e.id) and c.retired_at is null
    and c.approval_state <> 'rejected'
  where g.workspace_id = $1 and g.merged_into = any ($2::uuid[]) and c.id <> g.merged_into
  order by g.merged_into, g.valid_to, g.id) x
where a.workspace_id = $1 and a.id = x.id and a.valid_to is null and a.origin = 'extraction'
  and (a.approval_state = 'proposed' or a.judged_by = 'rule') and not exists (
    select from extractor.review r where r.workspace_id = $1 and r.atom_id = a.id and r.verdict = 'edited');

-- name: redirect_ends
-- What is part of another keeps its own ender.
update extractor.atom a set superseded_by = $2
where a.workspace_id = $1 and a.superseded_by = any ($3::uuid[]) and a.merged_into is null and a.id <> $2 and a.id <> all ($3::uuid[]);

-- name: forget_inherited_ends
-- Those that joining atoms have of what was merged into them, which keeps them; what a person has judged has none of another.
update extractor.atom a set valid_to = null, superseded_by = null
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.superseded_by is not null and a.origin = 'extraction'
  and (a.approval_state = 'proposed' or a.judged_by = 'rule') and exists (
    select from extractor.atom g
    where g.workspace_id = $1 and g.merged_into = a.id and g.superseded_by is not null and g.valid_to = a.valid_to);

-- name: forget_end_by
update extractor.atom a set valid_to = null, superseded_by = null
where a.workspace_id = $1 and a.id = $2 and a.superseded_by = any ($3::uuid[]);

-- name: hold_again
-- What the atoms had ended holds again.
update extractor.atom a set valid_to = null, superseded_by = null
where a.workspace_id = $1 and a.superseded_by = any ($2::uuid[])
returning a.id;

-- name: forget_own_end
update extractor.atom a set valid_to = null, superseded_by = null
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.superseded_by is not null;

-- name: forget_common_ends
-- Those that atoms ($2) may have from one that was merged into them, or that others have from such atoms ($3); what a person has
-- judged had none of another, and stays ended.
update extractor.atom a set valid_to = null, superseded_by = null
where a.workspace_id = $1 and a.superseded_by is not null
  and (a.id = any ($2::uuid[]) or a.superseded_by = any ($3::uuid[]) and a.merged_into is null)
  and a.origin = 'extraction' and (a.approval_state = 'proposed' or a.judged_by = 'rule')
returning a.id;

-- name: forget_vain_ends
-- Those that comparing found for what begins no earlier now.
update extractor.atom a set valid_to = null, superseded_by = null
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.superseded_by is not null and a.valid_to <= a.valid_from
returning a.id;

-- name: end_atom
update extractor.atom a set valid_to = $3, superseded_by = $4
where a.workspace_id = $1 and a.id = $2 and (a.valid_to is null or a.superseded_by is not null and a.valid_to > $3);

-- name: part_atoms
-- Live again, unless also gone ($3); what a person merged stays merged while it stands.
update extractor.atom a
set merged_into = null, merged_by = null, retired_at = case when a.id = any ($3::uuid[]) then a.retired_at end, updated_at = now()
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.merged_into is not null
  and (a.merged_by = 'meaning' or a.id = any ($3::uuid[]))
returning a.id, a.text_sha256, old.merged_into as canonical, a.retired_at is null as is_live;

-- name: promote
update extractor.atom a set merged_into = null, merged_by = null, retired_at = null, updated_at = now()
where a.workspace_id = $1 and a.id = $2
returning a.text_sha256;

-- name: texts_of
select a.id, a.text_sha256 from extractor.atom a
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.retired_at is null
order by a.id;

-- name: members
select a.id, a.merged_into, a.merged_by from extractor.atom a
where a.workspace_id = $1 and a.merged_into = any ($2::uuid[])
order by a.id;

-- name: canonicals
select distinct a.merged_into as id from extractor.atom a
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.merged_into is not null
union
select distinct a.merged_into from extractor.atom a where a.workspace_id = $1 and a.merged_into = any ($2::uuid[]);

-- name: forget_conclusions
-- The links that comparing made.
delete from extractor.atom_link l
where l.workspace_id = $1 and l.origin = 'meaning' and (l.from_atom_id = any ($2::uuid[]) or l.to_atom_id = any ($2::uuid[]));

-- name: return_evidence
delete from extractor.atom_evidence e
where e.workspace_id = $1 and e.via_atom_id is not null and (e.atom_id = any ($2::uuid[]) or e.via_atom_id = any ($2::uuid[]));

-- name: borrow_evidence
-- At most $3 messages: the first of every merged atom before all else, then one of everybody whom an atom cites, and so on.
insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset, via_atom_id)
select $1, x.merged_into, x.message_id, 1000 + x.place, x.quote, x.quote_offset, x.atom_id
from (
  select o.*, row_number() over (partition by o.merged_into order by o.turn > 1, o.author_turn, o.message_id) as number
  from (
    select l.*, row_number() over (partition by l.merged_into order by l.message_id) as place,
      row_number() over (partition by l.merged_into, l.atom_id order by l.message_id) as turn,
      row_number() over (partition by l.merged_into, l.atom_id, l.author_external_id order by l.message_id) as author_turn
    from (
      select distinct on (m.merged_into, e.message_id) m.merged_into, e.message_id, e.quote, e.quote_offset, e.atom_id,
        s.author_external_id
      from extractor.atom m
      join extractor.atom_evidence e on e.workspace_id = m.workspace_id and e.atom_id = m.id and e.via_atom_id is null
      join ingest.message s on s.workspace_id = e.workspace_id and s.id = e.message_id and s.deleted_at is null
        and strpos(s.text, e.quote) > 0
      where m.workspace_id = $1 and m.merged_into = any ($2::uuid[])
      order by m.merged_into, e.message_id, e.atom_id) l) o) x
where x.number <= $3
on conflict (workspace_id, atom_id, message_id) do nothing;

-- name: begin_with_evidence
-- Read once, and each message by itself: of a workspace that the statistics do not know, it was read anew for each atom, among all messages.
with x as materialized (
  select e.atom_id, min(m.sent_at) as first_at
  from extractor.atom_evidence e
  cross join lateral (
    select s.sent_at from ingest.message s where s.workspace_id = $1 and s.id = e.message_id offset 0) m
  where e.workspace_id = $1 and e.atom_id = any ($2::uuid[]) group by e.atom_id)
update extractor.atom a set valid_from = x.first_at
from x
where a.workspace_id = $1 and a.id = x.atom_id and a.valid_from <> x.first_at;

-- name: add_version
-- The same words with other evidence: the judgement stays.
with next as (
  update extractor.atom a set version = a.version + 1, updated_at = now()
  where a.workspace_id = $1 and a.id = any ($2::uuid[])
  returning a.id, a.version, a.type, a.title, a.content, a.approval_state, a.origin)
insert into extractor.atom_version
  (workspace_id, atom_id, version, type, title, content, approval_state, origin, change, cause_atom_id, evidence_count)
select $1, n.id, n.version, n.type, n.title, n.content, n.approval_state, n.origin, $3, $4,
  (select count(*) from extractor.atom_evidence e where e.workspace_id = $1 and e.atom_id = n.id)
from next n order by n.id;

-- name: count_evidence
update extractor.atom_version v set evidence_count =
  (select count(*) from extractor.atom_evidence e where e.workspace_id = v.workspace_id and e.atom_id = v.atom_id)
from extractor.atom a
where v.workspace_id = $1 and a.workspace_id = v.workspace_id and a.id = v.atom_id and v.version = a.version
  and a.id = any ($2::uuid[]);

-- name: add_meaning_links
insert into extractor.atom_link (workspace_id, from_atom_id, to_atom_id, type, confidence, origin)
select $1, x.from_atom_id, x.to_atom_id, x.type, x.confidence, 'meaning'
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::real[]) as x (from_atom_id, to_atom_id, type, confidence)
order by x.from_atom_id, x.to_atom_id, x.type
on conflict (workspace_id, from_atom_id, to_atom_id, type) do nothing;

-- name: keep_apart
insert into extractor.kept_apart (workspace_id, first_id, second_id)
select $1, least($2::uuid, o.id), greatest($2::uuid, o.id) from unnest($3::uuid[]) as o (id) where o.id <> $2
order by 2, 3
on conflict do nothing;

-- name: allow_together
-- None of the atoms, nor of what was merged into them, is kept from another any more.
with member as materialized (
  select a.id from extractor.atom a
  where a.workspace_id = $1 and (a.id = any (array_append($3::uuid[], $2::uuid)) or a.merged_into = any (array_append($3::uuid[], $2::uuid))))
delete from extractor.kept_apart k using member x, member y
where k.workspace_id = $1 and k.first_id = x.id and k.second_id = y.id;
