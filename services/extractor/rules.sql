-- name: withdraw
with withdrawn as (
  update extractor.atom a set approval_state = 'proposed', judged_by = 'person'
  where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.judged_by = 'rule'
    and ($4::int = 0 or a.confidence < $3::real or $4 > (
      select count(*) from extractor.atom_evidence e where e.workspace_id = a.workspace_id and e.atom_id = a.id)
    or exists (select from extractor.atom m where m.workspace_id = a.workspace_id and m.merged_into = a.id and m.approval_state = 'rejected'))
  returning a.id, a.version)
update extractor.atom_version v set approval_state = 'proposed'
from withdrawn w where v.workspace_id = $1 and v.atom_id = w.id and v.version = w.version;

-- name: approve
-- Not what a person has judged or edited in any version, and not what was contradicted. Who merged it or took it apart said only
-- what is the same: the same as what was rejected, perhaps.
with approved as (
  update extractor.atom a set approval_state = 'approved', judged_by = 'rule'
  where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.approval_state = 'proposed' and a.origin = 'extraction'
    and a.retired_at is null and a.valid_to is null and a.confidence >= $3::real
    and $4::int <= (
      select count(*) from extractor.atom_evidence e where e.workspace_id = a.workspace_id and e.atom_id = a.id)
    and not exists (
      select from extractor.review r where r.workspace_id = a.workspace_id and r.atom_id = a.id and r.key_id is not null
        and r.verdict not in ('merged', 'parted'))
    and not exists (
      select from extractor.atom m where m.workspace_id = a.workspace_id and m.merged_into = a.id and m.approval_state = 'rejected')
  returning a.id, a.version),
versions as (
  update extractor.atom_version v set approval_state = 'approved'
  from approved p where v.workspace_id = $1 and v.atom_id = p.id and v.version = p.version)
insert into extractor.review (workspace_id, atom_id, version, verdict, reason, request_sha256)
select $1, p.id, p.version, 'approved', $5, sha256(convert_to($5, 'UTF8')) from approved p;
