"""What an update of the Bot API means; pure and total: whatever comes in is told apart, nothing raises."""

from dataclasses import dataclass, replace

from services.cli.importers import ImportedChat, ImportedMessage, SkippedRow
from services.cli.importers.rows import NoMessage, Row, nested
from services.cli.importers.telegram_accounts import account_key
from services.cli.telegram_bot.api import UPDATE_KINDS
from services.cli.telegram_bot.message import number, read_chat, read_message


@dataclass(frozen=True, slots=True)
class Post:
    """A message, new or edited, and the chat it is in."""

    chat: ImportedChat
    message: ImportedMessage


@dataclass(frozen=True, slots=True)
class Migration:
    """A group has become a supergroup: its old id, and the chat that it is now."""

    old_external_id: str
    chat: ImportedChat


Update = Post | Migration | SkippedRow


def read_update(update: Row) -> Update:
    """Tell what an update is."""
    place = f"update {number(update, 'update_id')}"
    row = next((row for kind in UPDATE_KINDS if (row := nested(update, kind))), None)
    if row is None:
        return SkippedRow(place, "another kind of update")
    try:
        chat = read_chat(nested(row, "chat"))
        return _migration(row, chat) or Post(chat, read_message(row, chat))
    except NoMessage as error:
        return SkippedRow(place, error.reason, error.detail)


def of_account(item: Update, account: str) -> Update:
    """The same, its chat known by the account that numbers its messages, where one does."""
    if isinstance(item, Migration):
        return replace(item, old_external_id=account_key(item.old_external_id, account))
    if isinstance(item, SkippedRow) or item.chat.kind not in ("private", "group"):
        return item
    chat = account_key(item.chat.external_id, account)
    return Post(replace(item.chat, external_id=chat), replace(item.message, chat_external_id=chat))


def _migration(row: Row, chat: ImportedChat) -> Migration | None:
    """Telegram says it twice: in the group, which it closes, and in the supergroup, which it opens."""
    new, old = number(row, "migrate_to_chat_id"), number(row, "migrate_from_chat_id")
    if new:
        return Migration(chat.external_id, ImportedChat(new, chat.title, "supergroup"))
    return Migration(old, chat) if old else None
