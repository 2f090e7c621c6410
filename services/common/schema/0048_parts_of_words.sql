-- Parts of what PostgreSQL's parser keeps whole: the file name in /etc/nginx/nginx.conf, PaymentIntent in stripe.PaymentIntent.create,
-- either of cpu/gpu, the repository in an address, 1432 in WEB-1432, which it takes for a negative number. None of them was found.

-- A text whose joined words stand apart, each sign in its place: services.search.spelling says the same of a query.
create function spine.apart(p_text text) returns text
  language sql immutable parallel safe
  return translate(p_text, './@:-', '     ');

-- Whether a text has joined words; everything else is not parsed twice. Only ASCII is joined by the parser.
create function spine.joins(p_text text) returns boolean
  language sql immutable parallel safe
  return p_text ~ '[a-zA-Z][./@][a-zA-Z0-9_]|[a-zA-Z0-9_][./@][a-zA-Z]|[a-zA-Z0-9]-[0-9]';

create or replace function spine.words(p_text text) returns tsvector
  language sql immutable parallel safe
  return to_tsvector('spine.chat'::regconfig,
    spine.plain(p_text) || case when spine.joins(p_text) then E'\n' || spine.apart(spine.plain(p_text)) else '' end);

-- What is stored was made by the function as it was.
update ingest.message set text = text where spine.joins(text);
update extractor.atom set title = title where spine.joins(title || E'\n' || content);
update extractor.topic set title = title where spine.joins(title);
