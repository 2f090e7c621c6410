"""Cue words of chat in English, Ukrainian and Russian, by what they say about a message.

A word is known by its first six letters, so that an entry covers longer inflections; shorter forms
stand for themselves. No word here names a product, a technology or a trade.
"""

STEM_LETTERS = 6

FUNCTION = """
a an the this that these those it its he she they them his her their we our us you your me my mine i
im ive is are was were be been being am do does did doing done have has had having will would can
could shall might may and or but nor so then than as at by for from in into of off on onto out over
to under up with without about after before between during through while if else because there here
very just also too only even still again already ever some any all both each more most much many
other another such same own few lot lots bit not no dont doesnt isnt wasnt cant wont s t re ve ll d
m don doesn isn wasn aren didn couldn wouldn won hasn haven what which who whom whose when where why
how get gets got go goes going gone come came make makes made take took see saw seen say says said
know knows knew one two thing things stuff way now well back like want wants really quite
і й та а але або чи що це цей ця ці той та те ті він вона воно вони ми ви ти я мене мені мій моя моє
мої твій твоя ваш наш нас нам вам вас їх їм його її йому їй їхній себе собі свій свою своє є був
була було були буде будуть бути на в у з із зі до від для про при по за під над між через після без
біля як якщо коли де хто чому який яка яке які не ні ж же б би то ще вже теж також тільки лише
навіть дуже тут там так тому бо щоб аби хоч поки потім зараз тепер все всі весь вся усе усі кожен
інший інша інше один одна одне два може треба можна просто взагалі и а но или ли что это этот эта
эти тот та те он она оно они мы вы ты я меня мне мой моя моё мои твой ваш наш нас нам вам вас их им
его её ему ей себя себе свой свою есть был была было были будет будут быть на в во у с со из к ко от
для про о об при по за под над между через после без как если когда где кто почему какой какая какое
какие не ни же бы ещё еще уже тоже также только даже очень тут там так потому чтобы хотя пока потом
сейчас теперь все всё весь вся каждый другой другая один одна два может надо можно просто вообще
"""

ACKNOWLEDGEMENT = """
ok okay okey k kk yes yeah yea yep yup ya no nope nah sure right true indeed exactly agreed agree
correct clearly cool nice great awesome amazing perfect excellent good fine lovely sweet interesting
gotcha understood roger ack ah aha oh ooh hm hmm hmmm mm mhm uh um umm er ugh eh heh hehe haha
hahaha lol lmao rofl wow whoa woah yay yikes omg wtf welp whew phew oops alas bingo ditto bravo np
anyway anyways damn weird funny confusing
так ок окей ага угу ні точно згоден згодна добре гаразд супер клас круто чудово класно файно ясно
зрозуміло зрозумів зрозуміла прийнято ого ой ех хм хаха ахах лол ура нічого норм нормально плюс
підтримую молодець красунчик приколь смішно да нет ок окей ага угу точно согласен согласна хорошо
ладно супер класс круто отлично классно ясно понятно понял поняла принято ого ой эх хм хаха ахах лол
ура ничего норм нормально плюс поддерживаю молодец прикольно смешно
"""

COURTESY = """
hi hello hey hiya howdy morning afternoon evening night bye goodbye cya welcome thanks thank thx ty
tnx cheers sorry apologies please pls plz congrats congratulations appreciate appreciated guys folks
everyone everybody weekend lunch coffee pizza birthday holiday
привіт вітаю вітання доброго добрий добраніч ранку вечора дня бувай бувайте дякую дяки дякуємо
спасибі вибач вибачте вибачаюсь перепрошую пробач прошу ласка вітаємо друзі колеги хлопці народ
вихідні вихідних обід обіду кава каву свято привет здравствуйте доброе добрый утро вечер спокойной
пока спасибо спс благодарю извини извините прости пожалуйста поздравляю друзья коллеги ребята всем
выходные выходных обед кофе праздник
"""

WAITING = """
wait waiting moment sec second secs minute minutes min brb afk soon later looking checking hold hang
lemme let tomorrow today tonight yesterday ready busy
зачекай зачекайте чекай чекаю секунду секундочку хвилину хвилинку хвилин гляну глянь дивлюсь дивлюся
подивлюсь подивлюся перевірю перевіряю пізніше скоро завтра сьогодні ввечері відійду повернусь
готово подожди подождите жди жду секунду секундочку минуту минутку минут гляну глянь смотрю посмотрю
проверю проверяю позже скоро завтра сегодня вечером отойду вернусь готово
"""

OPINION = """
think thought guess suppose hope hopefully wish feel feels believe maybe perhaps probably seems seem
sounds looks opinion imo imho afaik afaict iirc mean personally honestly love hate hates sucks
annoying awful ugly pretty fun
думаю гадаю вважаю здається мабуть можливо певно напевно сподіваюсь сподіваюся хотілося відчуваю
схоже люблю ненавиджу жахливо шкода думаю считаю кажется наверное возможно видимо надеюсь хотелось
чувствую похоже люблю ненавижу ужасно жаль
"""

PROBLEM = """
error errors fail fails failed failing failure crash crashes crashed crashing broken breaks broke
bug bugs buggy issue issues problem problems wrong incorrect incorrectly exception exceptions
timeout timeouts missing cannot unable undefined stuck hangs hanging freezes slow slowly leak leaks
denied refused rejected invalid unexpected unexpectedly corrupt corrupted traceback segfault panic
warning warnings deprecated unsupported fault faulty conflict duplicate duplicates lost unusable
blocked blocker blocks blocking risk risky vulnerable outage regression down expired expires
complain
помилка помилки помилку помилкою проблема проблеми проблему баг баги багу падає падають впав впала
впало ламається зламав зламався зламалось зламано зависає завис зависло повільно повільний гальмує
збій збої відмова відмовл невірно неправильно некоректно неможливо заблоковано блокує ризик ризики
ризику втрачено втрата зникає зникло зник дублюється дублікат вийшов прострочено протермін виняток
тайм-аут таймаут ошибка ошибки ошибку ошибкой проблема проблемы проблему баг баги падает падают упал
упала упало ломается сломал сломался сломалось сломано зависает завис зависло медленно тормозит сбой
сбои отказ неверно неправильно некорректно невозможно заблокировано блокирует риск риски потеряно
потеря исчезает исчез дублируется дубликат исключение таймаут просрочен истекает
скаржиться скаржаться скарга скарги скаргу жалуется жалуются жалоба жалобы
"""

REMEDY = """
use uses using used try tried tries set sets setting add adds added adding change changes changed
changing should must need needs needed require requires required instead fix fixes fixed fixing
solve solves solved solution workaround recommend recommended suggest suggested suggestion install
installed configure configured configuration enable enabled disable disabled remove removed replace
replaced restart restarted run runs running create creates created update updated upgrade upgraded
return returns pass passes call calls means mean allow allows allowed support supports supported
possible otherwise therefore due cause causes caused reason works worked depends default means
ensure avoid prevent
використай використовуй використати використовувати використання спробуй спробуйте спробувати додай
додати додав додала додано зміни змінити змінив змінено потрібно слід варто необхідно повинен
повинна повинні замість виправити виправив виправлено виправляю вирішити вирішив вирішено розв'язати
рішення встанови встановити налаштуй налаштувати налаштування увімкни увімкнути ввімкнути вимкни
вимкнути видали видалити прибери прибрати заміни замінити перезапусти перезапустити запусти
запустити запускаємо створи створити створено онови оновити оновлено оновлення через причина причини
внаслідок дозволяє підтримує працює інакше отже тобто пропоную рекомендую используй использовать
использование попробуй попробуйте попробовать добавь добавить добавил добавлено измени изменить
изменил нужно следует стоит необходимо должен должна должны вместо исправить исправил исправлено
решить решил решено решение установи установить настрой настроить настройка включи включить выключи
выключить отключить удали удалить убери убрать замени заменить перезапусти перезапустить запусти
запустить создай создать создано обнови обновить обновлено причина причины позволяет поддерживает
работает иначе значит предлагаю рекомендую
"""

DECISION = """
decide decides decided decision decisions agreed agreement approve approved plan plans planned
release released releasing deadline deadlines deploy deployed deployment launch launched requirement
requirements policy priority scope proposal propose proposed vote voted action assigned responsible
migrate migration adopted scheduled schedule postponed budget price
вирішили вирішуємо ухвалили домовилися домовились домовленість затвердили затверджено погодили
погоджено план плану плани плануємо реліз релізу релізимо дедлайн термін терміни викотили викочуємо
деплой деплою вимога вимоги вимогу пріоритет пропозиція пропозицію відповідальний переносимо
перенесли відкладаємо міграція міграцію бюджет ціна ціну решили решаем приняли договорились
договорились договоренность утвердили утверждено согласовали согласовано план плана планы планируем
релиз релиза дедлайн срок сроки выкатили выкатываем деплой деплоя требование требования требованию
приоритет предложение ответственный переносим перенесли откладываем миграция миграцию бюджет цена
цену
ідея ідею ідеї идея идею идеи
"""

LAUGHTER = """
lol lmao rofl haha hahaha hehe hehehe xd omg ахах ахаха хаха хахаха лол ржу
"""

TALK = """
help question questions ask asked asking answer answers channel chat talk talking discuss discussed
meeting topic next message messages paste pastebin gist link links send sent show shown read hear
ping pm post posted reply typing typo spell idea doc docs screen
допоможіть допомога допоможе питання запитання спитаю відповідь канал чат зустріч мітинг дзвінок
созвон тема далі повідомлення покажи скинь надішли напиши помощь помогите вопрос вопросы ответ
встреча дальше сообщение пришли
"""

INSTRUCTION = """
use try check set run add install look put make change remove enable disable restart create replace
pass call open edit type click select write start stop keep avoid add follow using
спробуй спробуйте перевір перевірте використай використайте додай додайте встанови запусти
перезапусти видали зміни зроби постав відкрий створи заміни онови дивись попробуй попробуйте проверь
проверьте используй добавь установи запусти перезапусти удали измени сделай поставь открой создай
замени обнови смотри
"""

OPEN_QUESTION = """
how why what which where when anyone anybody any someone somebody possible
як чому що який яка яке які де коли чи хтось навіщо скільки можна как почему что какой какая какое
какие где когда ли кто зачем сколько можно
"""

YOU = """
you your yours u ya ти ви тобі вам тебе вас твій ваш твоя ваша ты вы твой
"""

SELF = """
i im ive we our my me us
я ми мій моя мене мені нас нам наш наша
мы мой меня мне
"""

MODAL = """
can could should need will would may might have want must get don ll d
можна можеш можете треба потрібно слід варто раджу можно можешь нужно стоит следует советую надо
"""

ADVICE = """
should must try use
можна можеш можете треба потрібно слід варто раджу спробуй спробуйте пропоную
можно можешь можете нужно надо стоит следует советую попробуй
"""

WANT = """
need want try trying tried get getting got having see seeing cannot couldn unable looking
хочу намагаюсь намагаюся вдається виходить можу можемо
хочется хотим пытаюсь получается могу можем
"""

CONDITION = """
if because since unless instead otherwise therefore which whereas although so
якщо бо тому оскільки через щоб якби замість інакше если потому поскольку чтобы вместо иначе поэтому
"""

NEGATION = """
not no never none nothing cannot t не ні нема немає ніколи нет никогда без
"""
