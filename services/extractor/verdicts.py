"""How people settle in a few words what was proposed or weighed: "do it", "grey it is", "хай буде субота".

English, Ukrainian and Russian.
"""

from functools import lru_cache
from typing import Final

from services.extractor import cues, slavic
from services.extractor.patterns import words
from services.extractor.titles import polish, sentences

_ORDERS: Final = (
    "take|order|buy|book|send|keep|move|put|leave|use|try|call|ask|make|let|write|add|remove|drop|cancel|close|"
    "print|bring|"
    "get|give|switch|replace|ship|schedule|announce|pay|return|clean|hold|skip|start|stop|hire|invite|tell|report|set"
)
_ORDERS_SLAVIC: Final = (
    "бери|візьми|купи|зроби|роби|пиши|напиши|подзвони|дзвони|постав|став|принеси|привези|залиш|лиши|поклади|віддай|"
    "роздай|скажи|"
    "попроси|витягни|прибери|забери|заповни|перенеси|переведи|відвези|заплати|плати|запиши|внеси|додай|зміни|онови|"
    "відправ|скинь|"
    "повісь|відкрий|закрий|вимкни|увімкни|підключи|замов|спробуй|перевісь|заміни|склади|"
    "возьми|сделай|делай|позвони|звони|поставь|ставь|привези|оставь|положи|отдай|раздай|попроси|убери|забери|"
    "заполни|переведи|отвези|"
    "закажи|заплати|добавь|измени|обнови|отправь|скинь|повесь|открой|закрой|выключи|включи|подключи|попробуй|замени|"
    "составь"
)
# How somebody tells another what to do, at the beginning of a sentence; the polite forms are told by their endings.
ORDERED: Final = words(
    f"(?:(?:ok(?:ay)?|yes|yeah|sure|good|fine|then|so|please),? )*(?:{_ORDERS})(?= (?!(?:about|as|a look)(?!\\w))\\S)",
    f"(?:(?:ок|окей|так|добре|гаразд|тоді|хорошо|ладно|да|тогда|ну),? )*(?:\\w+, )?(?:{_ORDERS_SLAVIC}|"
    f"\\w{{3,}}(?:іть|йте|ьте|вте)|"
    "\\w{4,}(?:ай|яй|уй|юй)(?= \\w)|(?:сделайте|возьмите|купите|закажите|поставьте|напишите|позвоните|оставьте|"
    "отправьте|добавьте|уберите|удалите|введите|включите|выберите|выключите|замените|зайдите|запустите|нажмите|"
    "обновите|отключите|перезагрузите|перезапустите|подключите|сохраните|установите))",
)  # fmt: skip
# A question of what something costs, which is asked before it is decided on.
COSTS: Final = words(
    "(?:how much|what) (?:does|do|is|are|would|will) .{1,60}(?:cost|price)", "how (?:much|expensive) (?:is|are|would)",
    "what(?:'s| is) the price",
    "скільки (?:це |воно |вони )?(?:кошту\\w+|буде коштувати|беруть|просять)", "яка ціна", "почому",
    "сколько (?:это |оно |они )?(?:сто[ия]т|будет стоить|берут|просят)", "какая цена",
)  # fmt: skip
# A question of who does it.
WANTED: Final = words(
    "who (?:can|could|will|takes|is taking|wants to)(?! help)",
    "(?:хто|кто) (?:може|зможе|буде|візьме|может|сможет|будет|возьм[её]т) (?!допом|помо|підказ|подсказ)\\w+",
)  # fmt: skip
# An offer to do something.
OFFERED: Final = words(
    "(?:i|we) (?:can|could)(?! (?:see|tell|not|hear|imagine|understand|only))", "(?:можу|можемо) (?:\\w+ ){0,2}\\w+ти",
    "(?:могу|можем) (?:\\w+ ){0,2}\\w+ть",
)  # fmt: skip
# A choice between two, in few words or of what we do.
CHOICE: Final = words(
    "(?:do|will|would|should|shall|can) we .{2,80} or .{2,60}\\?",
    "(?:^|[.!:,] )(?:\\w+ ){1,3}(?:or|чи|или|або) (?:\\w+ ){0,2}\\w+\\s?\\?",
)


@lru_cache(maxsize=1024)
def proposes(text: str) -> bool:
    """Whether a sentence of a text begins by proposing something to all."""
    if slavic.WISHED.search(text):
        return True
    if not cues.SUGGESTING.search(text):
        return False
    return any(cues.SUGGESTED.match(polish(sentence)) for sentence in sentences(text))


def weighs(text: str) -> bool:
    """Whether a text proposes something to all, asks them what to do, or leaves a choice."""
    return proposes(text) or bool(cues.DELIBERATED.search(text) or CHOICE.search(text))


def waits(text: str) -> bool:
    """Whether a text leaves something to be settled: what to do, or who does it."""
    return weighs(text) or bool(WANTED.search(text))
