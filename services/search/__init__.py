"""Search finds messages, atoms and topics by meaning, by words and by both. It writes nothing: it reads what the other
services keep, and asks the embedder for the vector of a query. Whatever is deleted, rejected, retired or superseded is
never returned, nothing leaves its workspace, and a reply says when it may be incomplete: a leg that did not answer, an
index that gave too little, rows that still wait for their vectors.
"""
