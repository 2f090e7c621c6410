"""How people tell trouble, as parts of patterns: what fails to be done, is done once too often, or takes too long."""

from typing import Final

# Beginnings of what things and programs are expected to do, in Ukrainian and Russian.
WHAT_THINGS_DO: Final = (
    "пуска|груз|вантаж|приход|прийш|надх|вход|захо|чу[євл]|відпов|зберіг|збереж|відправ|друку|відкри|гріє|світ|"
    "отвеча|сохран|отправ|печата|загру|слыш|гре[ею]т"
)
# What is done or comes once too often.
TWICE: Final = (
    "(?:billed|charged|paid|debited|booked|counted|sent|posted|printed|delivered|imported|arriv\\w*|comes?|came|coming|"
    "fir(?:e|es|ed)|trigger\\w*) (?:\\w+ )?twice",
    "(?:двічі|по два рази) (?:прих|прий|над|спис|зня|опла|нара|запис|відпр|друк|пока|спра)\\w*",
    "(?:прих|прий|над|спис|зня|опла|нара|запис|відпр|друк|спра)\\w* (?:двічі|по два рази)",
    "(?:дважды|по два раза) (?:прих|приш|спис|снял|опла|начис|запис|отпр|печа|сраб)\\w*",
    "(?:прих|приш|спис|снял|опла|начис|запис|отпр|печа|сраб)\\w* (?:дважды|по два раза)",
)
# What lasts longer than people bear; that something costs "more than an hour" of work is no trouble.
SLOW: Final = (
    "(?:so|too|very|really|painfully|extremely|terribly|super) slow(?:ly)?",
    "(?:takes?|took|taking) (?:forever|ages|(?:way |far |much )?too long)",
    "(?:takes?|took|taking) (?:more than|over|at least|up to|almost|nearly) (?:an?|one|two|\\d+|several|half an?) "
    "(?:seconds?|minutes?|hours?) to (?:open|load|start|respond|render|answer|log|show|appear|build|boot|print)",
)
# How people say of a thing that it is of no use any more.
BROKE_DOWN: Final = (
    "[зс]дох(?:л[аои])?|накри(?:вся|л[аои]с[ья]|лися)|накры(?:лся|лась|лось|лись)|згорі(?:в|л[аои])|сгорел[аои]?|зламан\\w*|"
    "не (?:завод|завел|завёл|вмика)\\w*|(?:ci|builds?|tests?|pipelines?|main|master) (?:is|are|goes|went|turned) red"
)
