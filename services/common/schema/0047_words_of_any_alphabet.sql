-- Words as search sees them, of any alphabet. To PostgreSQL's parser under the locale C every character beyond ASCII is a letter, so
-- «words» in typographic quotes, before a dash or beside an emoji were other words; an apostrophe parted or joined a word by which of
-- three signs it was; and what stands between < and > was a tag and left out: the types of Vec<String>.

-- A text as it is parsed: services.search.spelling says the same of a query. Accents that no letter has and what is not seen are
-- dropped, an apostrophe between Cyrillic letters is one of them, and what is no letter beyond ASCII is a space.
create function spine.plain(p_text text) returns text
  language sql immutable parallel safe
  return replace(case when octet_length(p_text) = length(p_text) then p_text else
    regexp_replace(regexp_replace(regexp_replace(normalize(p_text, NFKC),
      U&'[\0300-\036f\00ad\200b-\200f\2060\fe00-\fe0f\feff]', '', 'g'),
      U&'(?<=[\0400-\052f])[''`\2018\2019\02b9\2032](?=[\0400-\052f])', U&'\02bc', 'g'),
      U&'[\00a1-\00bf\00d7\00f7\2010-\205f\20a0-\20cf\2190-\2bff\2e00-\2e7f\3001-\3003\3008-\3020\fffc\fffd\+01f000-\+01faff]', ' ', 'g')
    end, '<', ' ');

create or replace function spine.words(p_text text) returns tsvector
  language sql immutable parallel safe
  return to_tsvector('spine.chat'::regconfig, spine.plain(p_text));

-- What is stored was made by the function as it was; most of it is the same. Only these texts can differ.
update ingest.message set text = text
where (octet_length(text) <> length(text) or text like '%<%') and words <> spine.words(text);
update extractor.atom set title = title
where (octet_length(title || content) <> length(title || content) or title || content like '%<%')
  and words <> spine.words(title || E'\n' || content);
update extractor.topic set title = title
where (octet_length(title) <> length(title) or title like '%<%') and words <> spine.words(title);
