-- name: listed
-- What a filter leaves, up to a limit: of each kind how many, and their ids, 16 bytes each.
select x.kind, count(*) as rows, string_agg(uuid_send(x.id), '') as ids from (
  /*each union all*/
  select '{kind}' as kind, s.id from search.live_{kind}s({filter}) s where {condition}
  /*end*/ limit $11::int) x
group by x.kind;

-- name: nearest_exact
-- How many rows the filter leaves, counted up to a limit unless it is null, and the nearest of them if the limit is not reached.
-- What is left is found by itself: the planner takes a join for more selective than it is, and then asks row by row.
with chosen as materialized (
  select x.* from (
    /*each union all*/
    select '{kind}' as kind, s.id, s.text_sha256 from search.live_{kind}s({filter}) s where {condition}
    /*end*/) x
  limit $13::int),
counted as materialized (select count(*) as rows from chosen),
near as materialized (
  select v.kind, v.subject_id, (v.embedding::halfvec({dimensions})) <=> $11::halfvec({dimensions}) as distance
  from chosen c
  join embedder.vector v on v.workspace_id = $10 and v.generation_id = '{generation}' and v.kind = c.kind
    and v.subject_id = c.id and v.text_sha256 = c.text_sha256
  where $13::int is null or (select t.rows from counted t) < $13::int)
select t.rows, b.kind, b.id, b.distance from counted t left join (
  select n.kind, n.subject_id as id, min(n.distance) as distance
  from near n group by n.kind, n.subject_id order by min(n.distance), n.subject_id limit $12::int) b on true
order by b.distance, b.id;

-- name: nearest_hnsw
-- Each graph is walked until enough of its vectors satisfy the filter. What is in none yet is compared whole, and of the nearest of it
-- those are taken that do.
with near as materialized (/*segment*/
  (select v.kind, v.subject_id, (v.embedding::halfvec({dimensions})) <=> $11::halfvec({dimensions}) as distance
   from embedder.vector v
   where v.workspace_id = $10 and v.generation_id = '{generation}' and {segment} and v.kind in ({kinds})
     and case v.kind
       /*each*/
       when '{kind}' then (
         select true from search.live_{kind}s({filter}) s
         where s.id = v.subject_id and s.text_sha256 = v.text_sha256 and {condition})
       /*end*/ end
   order by (v.embedding::halfvec({dimensions})) <=> $11::halfvec({dimensions}) limit $12::int)
  union all/*end segment*/
  (select v.kind, v.subject_id, v.distance
   from (
     select v.kind, v.subject_id, v.text_sha256, (v.embedding::halfvec({dimensions})) <=> $11::halfvec({dimensions}) as distance
     from embedder.vector v
     where v.workspace_id = $10 and v.generation_id = '{generation}' and {outside} and v.kind in ({kinds})
     order by (v.embedding::halfvec({dimensions})) <=> $11::halfvec({dimensions}) limit greatest(10 * $12::int, 1000)) v
   where case v.kind
     /*each*/
     when '{kind}' then (
       select true from search.live_{kind}s({filter}) s
       where s.id = v.subject_id and s.text_sha256 = v.text_sha256 and {condition})
     /*end*/ end
   order by v.distance limit $12::int))
select n.kind, n.subject_id as id, min(n.distance) as distance, (select count(*) from near) as parts
from near n group by n.kind, n.subject_id order by min(n.distance), n.subject_id limit $12::int;

-- name: nearest_known
-- The nearest of some subjects, and of those whose vectors were written since a snapshot ($15, and those of $16, that were under way
-- then), which must be fewer than $17. What was restored from a dump has numbers of another server, which are yet to come here.
-- Each is looked up by itself: what is gone, or does not satisfy the filter, is not among them.
with fresh as materialized (
  (select v.kind, v.subject_id from embedder.vector v
   where v.workspace_id = $10 and v.generation_id = '{generation}' and v.written >= $15::text::xid8
     and v.written < pg_snapshot_xmax(pg_current_snapshot())
   order by v.written limit $17::int)
  union all
  (select v.kind, v.subject_id from embedder.vector v
   where v.workspace_id = $10 and v.generation_id = '{generation}' and v.written = any ($16::text[]::xid8[]) limit $17::int)),
near as materialized (
  select v.kind, v.subject_id, v.distance
  from (select k.kind, k.id from unnest($13::text[], $14::uuid[]) as k (kind, id) union select f.kind, f.subject_id from fresh f) s
  cross join lateral (
    select x.kind, x.subject_id, x.text_sha256, (x.embedding::halfvec({dimensions})) <=> $11::halfvec({dimensions}) as distance
    from embedder.vector x
    where x.workspace_id = $10 and x.generation_id = '{generation}' and x.kind = s.kind and x.subject_id = s.id offset 0) v
  where case v.kind
    /*each*/
    when '{kind}' then (
      select true from search.live_{kind}s({filter}) s
      where s.id = v.subject_id and s.text_sha256 = v.text_sha256 and {condition})
    /*end*/ end)
select f.rows as fresh, b.kind, b.id, b.distance
from (select count(*) as rows from fresh) f
left join (
  select n.kind, n.subject_id as id, min(n.distance) as distance
  from near n group by n.kind, n.subject_id order by min(n.distance), n.subject_id limit $12::int) b on true
order by b.distance, b.id;
