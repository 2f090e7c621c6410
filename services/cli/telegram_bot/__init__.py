"""The live Telegram bot: updates of the Bot API, polled or pushed, become calls of ingest.

An update is confirmed to Telegram only after ingest has committed what it says: polling advances its
offset then, the webhook answers 2xx then. A crash in between reads the update again, and ingest, which
knows messages by chat and number, changes nothing. Chats, authors and kinds have the names that the
importer of Telegram's exports gives them, so a live chat and its imported history are one source.
"""
