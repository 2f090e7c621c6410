-- Names that end or begin with a sign: C++, C#, F#, .NET, .env. To the parser they were the words C, F, NET and env.

-- Who writes waits until what is stored is spelt anew; otherwise what is written meanwhile would stay as the functions were.
lock table ingest.message, extractor.atom, extractor.topic in share row exclusive mode;

-- A text whose names keep their signs, as characters that the parser takes for letters and that signs have left no others of: ∙ for a
-- point before a word that goes on with nothing else, ♯ for #, ➕ and a space for ++, so that C++17 is two words.
create function spine.named(p_text text) returns text
  language sql immutable parallel safe
  return regexp_replace(regexp_replace(regexp_replace(p_text,
    '(?<![^ \t\n\r("''`*{=>\[,;:])\.(?=[A-Za-z]+(?![A-Za-z0-9_])(?![./@:-][A-Za-z0-9_]))', '∙', 'g'),
    '([A-Za-z])#(?![A-Za-z0-9_#])', '\1♯', 'g'),
    '([A-Za-z])\+\+', '\1➕ ', 'g');

-- Whether a text may have such names; where none are nothing is looked for.
create function spine.names(p_text text) returns boolean
  language sql immutable parallel safe
  return p_text ~ '[A-Za-z](\+\+|#)|(^|[^A-Za-z0-9_./@-])\.[A-Za-z]';

-- The names of a text without their signs, which are found by that as well.
create function spine.bare(p_text text) returns text
  language sql immutable parallel safe
  return translate(p_text, '➕♯∙', '   ');

create or replace function spine.plain(p_text text) returns text
  language sql immutable parallel safe
  return case when octet_length(p_text) = length(p_text) then
      case when spine.names(p_text) then spine.named(replace(p_text, '<', ' ')) else replace(p_text, '<', ' ') end
    else spine.named(replace(regexp_replace(regexp_replace(regexp_replace(normalize(p_text, NFKC),
      U&'[\0300-\036f\00ad\200b-\200f\2060\fe00-\fe0f\feff]', '', 'g'),
      U&'(?<=[\0400-\052f])[''`\2018\2019\02b9\2032](?=[\0400-\052f])', U&'\02bc', 'g'),
      U&'[\00a1-\00bf\00d7\00f7\2010-\205f\20a0-\20cf\2190-\2bff\2e00-\2e7f\3001-\3003\3008-\3020\fffc\fffd\+01f000-\+01faff]', ' ', 'g'),
      '<', ' ')) end;

create or replace function spine.words(p_text text) returns tsvector
  language sql immutable parallel safe
  return to_tsvector('spine.chat'::regconfig,
    spine.plain(p_text) || case when spine.joins(p_text) then E'\n' || spine.apart(spine.plain(p_text)) else '' end
      || case when spine.names(p_text) then E'\n' || spine.bare(spine.plain(p_text))
        || case when spine.joins(p_text) then E'\n' || spine.bare(spine.apart(spine.plain(p_text))) else '' end else '' end);

-- What is stored was made by the functions as they were.
update ingest.message set text = text where spine.names(text) and words <> spine.words(text);
update extractor.atom set title = title
where spine.names(title || E'\n' || content) and words <> spine.words(title || E'\n' || content);
update extractor.topic set title = title where spine.names(title) and words <> spine.words(title);
