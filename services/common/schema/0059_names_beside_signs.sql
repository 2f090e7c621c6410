-- What stands beside names with signs: .NET in C#/.NET and .env in src/.env are names, too; Rust in C++/Rust was the path /Rust. What is
-- written in full width is looked at as it is spelt here, and no phrase runs from the end of a text into what follows of its parts.

-- Who writes waits until what is stored is spelt anew; otherwise what is written meanwhile would stay as the functions were.
lock table ingest.message, extractor.atom, extractor.topic in share row exclusive mode;

-- As in 0054, but that a name may begin after a slash.
create or replace function spine.named(p_text text) returns text
  language sql immutable parallel safe
  return regexp_replace(regexp_replace(regexp_replace(p_text,
    '(?<![^ \t\n\r("''`*{=>\[,;:/])\.(?=[A-Za-z]+(?![A-Za-z0-9_])(?![./@:-][A-Za-z0-9_]))', '∙', 'g'),
    '([A-Za-z])#(?![A-Za-z0-9_#])', '\1♯', 'g'),
    '([A-Za-z])\+\+', '\1➕ ', 'g');

create or replace function spine.names(p_text text) returns boolean
  language sql immutable parallel safe
  return case when octet_length(p_text) = length(p_text) then p_text else normalize(p_text, NFKC) end
    ~ '[A-Za-z](\+\+|#)|(^|[^A-Za-z0-9_.@-])\.[A-Za-z]';

create or replace function spine.joins(p_text text) returns boolean
  language sql immutable parallel safe
  return case when octet_length(p_text) = length(p_text) then p_text else normalize(p_text, NFKC) end
    ~ '[a-zA-Z][./@][a-zA-Z0-9_]|[a-zA-Z0-9_][./@][a-zA-Z]|[a-zA-Z0-9]-[0-9]';

-- What the text has within its words follows so many words that are everywhere, which count as places alone.
create or replace function spine.words(p_text text) returns tsvector
  language sql immutable parallel safe
  return to_tsvector('spine.chat'::regconfig,
    spine.plain(p_text)
      || case when spine.joins(p_text) then E'\nthe the the the the the the the\n' || spine.apart(spine.plain(p_text)) else '' end
      || case when spine.names(p_text)
        then E'\nthe the the the the the the the\n' || spine.bare(spine.apart(spine.plain(p_text))) else '' end);

-- What is stored was made by the functions as they were.
update ingest.message set text = text where spine.joins(text) or spine.names(text);
update extractor.atom set title = title
where spine.joins(title || E'\n' || content) or spine.names(title || E'\n' || content);
update extractor.topic set title = title where spine.joins(title) or spine.names(title);
