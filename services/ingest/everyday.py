"""Words of everyday talk in English, Ukrainian and Russian, which name nothing of any trade.

LIFE is what people chat of between work; APART are words of the trade that begin like others here.
"""

LIFE = """
cat cats kitten dog dogs puppy kids wife husband mom mum dad mother father brother sister son
daughter baby grandma grandpa birthday wedding weekend vacation holiday holidays christmas easter
beach weather rain raining snow snowing sunny sunshine sleepy asleep nap woke tired hungry breakfast
lunch dinner supper pizza burger burgers beer coffee tea cake chocolate snack popcorn sandwich movie
movies football soccer basketball gym yoga haircut joke jokes jk laugh meme memes funny lottery luck
lucky hike sick headache flu doctor dentist кіт кота коту коти котик котики котиком кішка кошеня
собака собаки собаку песик пес пса цуценя дитина дитину дитини діти дітей дітям дружина дружину
дружини чоловік чоловіка мама маму мами тато тата сестра сестри сестру брат брата бабуся бабусі
дідусь теща свекруха донька доньку синок син сина кума народження весілля вечірка святкувати вихідні
вихідних відпустка відпустку відпустці канікули свято святами різдво великдень пляж море моря морі
гори погода погоду дощ дощу сніг снігу сонечко спека мороз ожеледь спати спав спала висплюсь
виспався сон сну ліжко подушка втома стомився стомилась голодний голодна сніданок обід обідати
вечеря піца піцу піцою бургер пиво пива вино вина кава каву кави кавусі кавуся чай чаю чайок торт
тортик торта цукерки шоколад печиво пиріжки пиріжок борщ вареники суші шашлик смаколики їсти поїсти
попоїсти попкорн кіно фільм фільми серіал серіали трейлер пісня пісні музика концерт футбол спорт
спортзал йога куртка кросівки жарт жарти анекдот мем меми лотерея щастя удача маршрутка прогулянка
застуда хворію захворів нежить кот коты кошка кошки котенок щенок ребенок ребенка дети детей детям
жена жену жены муж мужа мужу мамы папа сестры сестре бабушка дедушка свекровь дочка дочку сынок сын
сына рождения рождение свадьба вечеринка праздновать выходные выходных отпуск отпуске отпуска
каникулы праздник рождество пасха горы дождь дождя снег снега солнышко жара гололед спать спал
выспался сна кровать устал устала голодный голодная завтрак обед обедать ужин пицца пиццу кофе
кофеек чаек торту конфеты печенье пирожки пельмени суши шашлык вкусняшки поесть поем кино фильм
фильмы сериал сериалы песня песни музыка кроссовки шутка шутки мемы счастье прогулка простуда болею
заболел насморк зонт зонтик
метро трамвай тролейбус затор корок пробках велик самокат дощить злива гроза туман калюжа парасолька
хмарно сонячно вітряно спекотно холодрига мерзну змерз змерзла погуляти гуляти гуляю прокинувся
прокинулась проспав проспала висипатись недоспав дрімати снідати снідаю обідаю перекус перекусити
смачненьке цукерочки морозиво круасан булочка булка пончик млинці піцерія бутер бутерброд канапка
салатик олівє кебаб шаурма шаверма борщик супчик чайник кавомашина кавова лате капучино еспресо
какао лимонад коктейль шампанське горілка віскі коньяк похмілля паб кабак курити покурити покурю
курю перекур сигарета вейп кашель кашляю горло гарячка видужуй одужуй видужати болить зуб зуби
стоматолог садочок садік школяр двієчник няня племінник племінниця онук онука родичі тітка бабця
дідо малеча малюк малий немовля хрестини хрещений хомяк папуга черепаха акваріум котєйка песель
собацюра цуцик пограти пограємо плейстейшн приставка настолки шахи покер стрілялка кросворд гітара
співати співаю пісень танці танцювати караоке цирк казка мультик мультики мультфільм аніме трилер
книжка вірш вірші риболовля рибалка гриби пікнік похід намет рюкзак лижі ковзани басейн плавати
тренажерка біг бігати марафон стадіон матч вболівати подаруй дарувати подаруночок листівка букет
святковий іменини ювілей ялинка манікюр перукарня перукар зачіска стрижка борода сукня плаття
спідниця шкарпетки капці халат піжама ковдра пальто шарф рукавиці чобіт чоботи троллейбус пробка
ливень лужа пасмурно солнечно ветрено жарко жарища замерз замерзла погулять гулять проснулась
проспал высыпаться недоспал дремать ужинать обедаю перекусить мороженое круассан блины роллы
кофемашина латте эспрессо шампанское водка виски похмелье курить покурить выздоравливай болит зубы
садик школьник племянник внук внучка родственники тетя малыш попугай аквариум котята поиграть
поиграем шахматы гитара пою танцы танцевать спектакль аниме стихи рыбалка грибы пикник поход палатка
лыжи коньки бассейн плавать бег стадион болеть дарить подарочек юбилей елка маникюр парикмахер
прическа платье юбка носки тапки пижама одеяло
"""

APART = """
action actions config configs respond responds responded responding response responses responsive
import imports imported importing importer importerror generate generated generates generating
generator generators generation generic motherboard launchpad launcher launchers screenshot
screenshots screensaver property properties positive positions manager managers experiment
experiments experimental complex complexity completion instant instances instantiate communication
communicate underscore specification specifications selector selectors dependency dependencies
dependent partition partitions partial parties participant participants particle consist consistent
consistency contract contracts contrast contribute compare comparison compatible compatibility
component components composer commit commits committed command commands commandline connect
connection connections updatedb troubleshoot management managed reasonable preference preferences
definition definitions personal personalised completed pictureframe statement static station startup
started straightforward structure structures strategy standard standards interest interests
interface interfaces internal internals internet interval interpret interpreter intersection
interactive forwarding forwarded searchable secondary numbering regardless regression regular
regulation regulations thread threads throughput replacement playback understand відповідність
відповідно відповідний відповідати генератор генератори генерація генерувати переноси параметр
параметри парасоля параграф партнер партія матеріал матеріали працівник працівники соответствие
соответствует соответственно генераторы генерация генерировать параметры материал материалы партия
работник работники хвилин хвилини секунд секунди минут минуты секунды спробувати спробував
спробувала спробували попробовать попробовал
відділ відділи відділу відділі відділів відділом отдел отделы отдела отделе отделов отделом меню
"""

EVERYDAY = """
able absolutely actual afraid ago ahead ahem almost alone along alot alright although always amount
anymore anything anywhere apart apparently april around asap aside asleep assume attention august
away awhile baby bad bah basically bbiab bbl bcoz beautiful become bed beer begin beginning behind
best better big bigger biggest bits black blame bloody body boo book books boring bother bought bout
boy brain bread break bring bro brother brought btw buddy bunch called car care careful carry cat
catch caught certain chance cheap checked child children choice choose city class clean clear clever
close closed clue cold color colour comes coming comments common community company completely
consider cook corner cos cost count country couple course crap crazy cry curious cut cuz dad daily
dark dat date daughter day days dead deal dear death december decent deep definitely didnt die
different difficult dinner dirty doctor dog doh door doubt dozen dream drink drive drop dude duh
dumb dunno earlier early easier easily easy eat effort ehm either em enjoy enough entire especially
etc eventually everything evil exact example excited excuse expect expensive experience explain
extra extremely eye eyes face fact fair fairly fall family famous fan far fast faster father favor
favorite fear february feeling feet fell felt fight figure finally find finding finish fire fit five
floor flowers fly food fool foot forever forget forgot forward found four free fresh friday friend
front full future fyi game games gave gee general getting gimme girl give given gives giving glad
glass god gonna gotta green ground group grow gtg guy hair half hand hands handy happen happy hard
hardly hat head health heard heart heat heavy held helped helpful helping helps hence herself hes
hidden high higher him himself hit hmmmm hole holy home horrible hot hour hours house however hows
huge human hundred hungry hurray hurt husband idiot idk ignore imagine important impossible
impression inside instance involved irc january jk job join joined joke july jump june keeps kept
kid kidding kids kill kind kinda kinds kitchen knowing knowledge lady land large last late lately
later laugh law lazy lead learn learned learning least leave leaving left leg less lets letter level
life light likely line listen little live lives living local long longer looked loose lose loss loud
lower luck lucky mad magic main mainly major male man manage march mate matter meant meanwhile meat
meh men mentioned mess met middle million mind miss mistake monday money month months mood moon
mostly mother mouth move moved movie mum music myself names nasty near nearly neat necessary neck
neither nervous never newbie news nicely nobody noise none noob normal north nose note noted nothing
notice november nowhere number nvm obvious october odd offer office offtopic often old older ones
ooo opportunity option order ordinary original others ought ours outside outta paid pain paper part
particular parts party past pay paying peace people pff phone phrase pick picked picture piece place
places play played player playing plenty plus poor popular position pot practice prefer prepared
present previous private proper proud psst pull pure purpose push putting quick quickly quiet quit
quote radio rain random rare rather reading real realise reality realize recently red regard regular
relax remember remind rest rich rid ride ring river road rock room rough round rtfm rule rules rush
sad safe sat saturday saved saying school sea search season seat second seeing self sense separate
september seriously seven several sex shame shape share sheesh shes shh shit shoes shop short shot
shut sick side sign silly simple simply since single sir sister sit six size skip sky sleep slept
slight small smart smell smile smoke snow somebody somehow something sometimes somewhat son song
sort sorta sorted sound speak speaking special specific spend spent spoke sport stand star started
starting starts stay step sticking stone stood stopped story straight strange street strong student
stupid style success suddenly summer sun sunday super surely surprise swear tad taken takes taking
talked talks tall taste tbh tea teach team tell telling ten terrible thankful thats themselves
theory theres theyre thinking third tho thousand three throw thrown thru thursday thus til till time
times tiny tired together told ton tons top total totally touch tough toward town trade train travel
treat tree tricky trip trouble trust truth trying ttyl tuesday turn turned turns twelve twenty twice
uhh unfortunately unless unlike until upon upset useful useless usual usually vacation value various
video visit voice waited walk wall wanna war warm watch watched watching water ways wb weather
wedding wednesday week weeks went west whatever whats whenever whereas wherever whether white
whoever whole wide wife wild willing win wind wine winter wise within woke woman women wonder word
words wore work worker working world worry worse worst worth worthy wrote year years yeh young youre
yourself yum zero zzz абсолютно адже аж ай баба бабушка багато багатьох бажання бажаю батько бачив
бачила бачити бачиш бачу бегать беда безумовно белый близько более больно большая больше большие
большой боюсь боюся брав брат брати брать будинок будто будь будьте бывает бывший быстрее быстро
бігти біда білий біль більше більшість вагомо важко важливо важно важный вважай вгору вдається вдруг
ведь везде везёт век велика велике великий велику верить верно вернулся верх верю весело весна взяв
взял взяти взять вид видел видела видеть видишь видно вижу вийде вийшло випадку випадок випити
виходить вихід включно вкусно влітку вместе вміти вмію вміє вниз внимание вночі вода водій возле
возьми война вокруг волосся вопреки вот впечатление враження вранці враховуючи времени время всегда
вспомнил встиг встигну всього всюди втома втомився вторник второй втім вулиця вчера вчитель вчити
вчора вчорашній выглядит выходит вышел вівторок вір вірити вірно вітер газета гарна гарне гарний
гарно глаз глаза говори говорю год года годин година годину годиться годы голова голову голос
голосно гора гораздо город господи гость гості готов готова готовий гра грати грошей гроші груба
група гріх дав давай давно дай дал дала далеко дали дам дах двері двох дві дев девушка дед дела
делаем делает делал делать делаю дело день десь десять детей дети дивний дивно дико дитина длинный
дней дни дні днів довгий довго довелося доводиться додому дождь докладно долго должно дом дома домой
допоки дорога дорогий дорого достатньо дощ драма друг друга другие другий дружба дружина думав
думает думаешь думал думать думаєш думка думку дурак дурний дурня душа дядько дядя дякувати дійсно
дім дітей діти единственный еду ел ерунда ехать жарт жартую жах ждал жена женщина живе живий живёт
жизнь жити життя жить жінка забавно забув забула забути забыл забыла забыть завжди загалом
заздалегідь займатися закінчив зал залишити запах зате зачем звичайно звони звонил звідки звісно
згодом здесь здорово зима знав знаем знает знаете знаешь знайти знайшла знайшов знакомый знал знала
знаю знає знаємо знаєте знаєш знову зранку зробив зробила зробимо зробити зроблю зробіть зупинився
идеально иди идти иду идёт имеет иметь имею иногда интересно искал искать ищу йде йду йти каждую
каже кажу кажуть казав казала казалось казати картина качество квартира кино книга кожний колега
колись количество комусь конец конечно користь короче кошка край крайне краса красиво краткий краще
кращий країна кроме кругом крім кстати куда куди кудись купа купив купил купити купить кухня куча
кілька кількість кінець кіно легкий легко лес лето лист лицо лишень лишь лучшая лучше лучший любит
любити любить любов любовь людей люди людина лёгкий ліс літо мав майбутнє майже мала маленький мало
мама мати машина маю мають має маємо маєш менше меньше месте место месяц мимо минулий минулого мир
мить миша многие много мова мовчу мог могла могли могу можем можемо можу молодий молодой море москва
мрія муж мужик музика музыка мушу мысль міг місто місце місяць набагато навкруги навпаки навряд
надалі назад называется найкраще найти намагаюсь написав направду напротив нарешті насправді настрій
наступний настільки насчёт начал начало начать наши нашла нашёл неважно невже недавно недели неделю
неделя недобре неділя нельзя нема немає немного неплохо несколько нету неужели нехай нещодавно нижче
никак никогда никто ничто нова новая нове новий новина новое новость новые новый нові нога ноги ночь
нравится ніби ніде ніколи ніхто ніч обидва обидно обличчя обов обычно обязательно одинаково одразу
одяг окно око около опа опять оскільки особенно осталось остался остальные останній отак отдельно
отдых отец откуда ото офіс очевидно очі ощущение пам памятник пан пані пара парень певен первая
первое первый переважно перед перша перше перший песня писал писати писать питав пить пише пишет
пишу плакати плохо плохой поганий погано погляд погода подзвони подобається подумал подія поздно
пойду пойдёт пойти показав полно полностью половина получается получил полягає помнишь помню
понедельник понеділок понимаю понятия пора порада поруч порядок поскольку последний посміх почти
поэтому поясни поїхав поїхали правда правильно право працював працюю приблизно придёт приехал прийде
прийду прийти прийшла прийшов примерно природно приходь причому причём пришла пришёл приятно приємно
продовжуй против прошлого прошлый прям прямо путь пытаюсь пятница пять пісня работу равно рад ради
раз разговор различный разные разный разом рано ранок раньше раніше ребёнок результат решать робив
робимо робити робить робиш роблю робота роботу розказати розмова розповів розумію роки року років
рука руки рядом рівень різний різні рік сам сама самая саме сами самого самое самый самі сапоги свет
свободно своих своїх сделаем сделал сделать сделаю семья сердце середа серйозно серьезно серьёзно
сидеть сиджу сидіти сижу сильно син скажи скажите скажу скажіть сказав сказала сказати скорее
скоріше скучно слава слишком слова слово слухай слухати слушай слушаю слышал смачно смерть смысл
сміх сначала снег снова сніг собака собственно совсем сожалению сон сонце спати спать спить
сподобалося спокійно спосіб спочатку справа справді справи спросил сразу среда средний став стал
стала стало стати стать стол стояти стоять страна странно страшно стул стіл стілець стільки суббота
субота судьба сум сумно сути схожий счастье сын такая такие такое такой твоє театр темно тепло
терпение тиждень тижні тип тихо тогда того толк третий третій три трохи трошки трудно туда туди тупо
тяжело тяжко увага увесь увечері увидел увидеть удача удачи удобно удома ужас ужасный узнал узнать
улица умный уровень устал усюди утром уходить ушёл уявити уявляю факт фиг фильм фіг фільм хай хата
хватает хватит хвора хворий хвіст ходил ходить холодно хороший хотел хотела хотим хоть хотів хотіла
хотіли хоче хочемо хочет хочется хочеш хочешь хочу хтозна худий хуже целом целый цель цікаво ціла
ціле цілий цілком час часа часов часом частина частково часто часть часу чекати человек честно
четвер четыре число читав читал читати читать читаю чоловік чомусь чорний чорт чотири чтение чув
чула чути чуть чую шаг шановні швидко швидше шеф школа шлях штука шукав шукати шукаю шутка шучу
шість щасливо щастя щиро щойно щоразу щось эй экран этаж явно якась якби якийсь якобы якось яркий
ясний єдине єдиний іде ідеально іду інколи іноді інтерес їду їхати today tomorrow tonight yesterday
soon ready minutes seconds noon midnight o clock am pm persons person folks anyway certainly clearly
considering context exactly expected further generally hear honestly indeed itself meantime nearby
nor normally obviously occasionally otherwise overall perhaps possible possibly previously probably
properly quite roughly shall similar slightly specifically still such supposed though throughout
truly typically whose write written yet ask asks tells put puts leaves brings hold holds happens
happened seem seemed seems let feels moves meet show shows showed shown bit pair end ends bottom
back type way point points case cases facts idea ideas reason reasons name price buy sell sold costs
boss desk chair table window pen сьогодні завтра ввечері вдень ранку вечора дня години хвилин
хвилину хвилини секунд секунди тижня тижнів місяця місяців понеділка вівторка середи середу четверга
пятниця пятницю пятниці суботу неділю січень січня лютий лютого березень березня квітень квітня
травень травня червень червня липень липня серпень серпня вересень вересня жовтень жовтня листопад
листопада грудень грудня скоро невдовзі незабаром наразі нині тимчасово постійно поступово раптом
відразу зразу миттєво вчасно запізно зарано пізно торік цьогоріч людини людині людину людям людьми
людях хлопець дівчина дівчата дитячий дорослий дорослі сторона сторони боку бік кінця кінці початок
початку середина центр вгорі внизу ззаду спереду праворуч ліворуч верхній нижній частини частину
решта решту половину чверть пару купу штук штуки разу рази разів річ речі речей справу справі справ
діло випадки випадках ситуація ситуації питань сенс сенсу значення значить мета мети ціль цілі види
виду роду рід вибір вибору варіант варіанти варіантів приклад прикладу прикладом спроба спроби
загальний загальна різниця різницю різниці важкий важка простий проста просте прості складний
складна складно швидкий повільний зручно зручний незручно корисно корисний корисна марно потрібен
потрібна потрібні готуй відомо невідомо зайве зайвий зайва зайві правий права праві неправий винен
винна винні певний певна певне певні точний точна точне звичайний звичайна нормальний нормальна
нормальне погана погані чудовий чудова гарні класний класна крутий крута смішний смішна страшний
страшна дивна щасливий щаслива сумний головний головна головне головні основний основна основне
основні окремий окрема окремо спільний спільна власний власна чужий чужа справжній справжня молода
старий стара старе старі новенький свіжий великі малий малі маленька довга довгі короткий коротка
високий висока низький низька широкий вузький повний повна пусто порожній порожня чистий чиста
брудний брудна теплий тепла холодний холодна гарячий гаряча світлий темний темна червоний синій
зелений жовтий рудий сірий золоті золотий бути буваю буває бували стає стали стану станемо станеться
сталося сталось трапилось трапилося відбулося відбувається зявляється маєте матиме матиму мали
вміють вмієш зможу зможе зможемо зможете змогла зміг хочуть схотів бажає бажано воліє думаєте
думають подумаю подумав подумала вирішує гадаєш знають дізнався впізнав памятаю памятаєш памятаєте
запамятав памятати забудь забули забуває розумієш розуміє розуміють розумієте зрозуміти чекаю
чекаємо чекають чекав чекали дивись дивися дивіться дивиться дивлячись бачить бачать бачили побачив
побачила чуєш чуєте чуло почув почула слухав слухаю говориш говорить говорять говорив говорила
говорили кажеш кажете кажи сказали скажете розкажи розкажу розповідав розповідає поясню пояснив
пояснює спитай спитати питаю питає питали запитай відповів відповіла відповідає відповідають
відповідять відповісти пишеш пишуть писала писали читає читали прочитав прочитала прочитай робите
робила робили роблять діє діють ідуть йдуть йшов йшла іди ходжу ходив ходила ходили підемо піду піде
пішов пішла пішли прийшло прийшли прийдуть приходить виходжу вийшли вийду зайшов зайду зайди
заходить їде їхав їхала приїхав поїду летить біжить стоїть стояв сидить сидів лежить лежав лежала
висить висів висять тримай тримаю тримає триматись тримайся тягне несе нести ніс принеси приніс
принесла привіз бере беруть беремо візьми візьму взяли дає дають даємо дайте даси віддав віддала
віддай отримав кинь кинув клав поклав покласти ставить лиши лишив лишилось лишилося лишилась
залишився залишилось залишилося вистачає вистачить бракує купили купують продав платить плачу коштує
коштувало коштують шукає шукали знайди намагався намагалась пробував пробувала пробували пробувати
пробуй вдалося вдалось виходило виявилося виявилось здалося здавалося вважає люблю сподобалось
боявся злякався радий рада раді сміялась сміюсь посміявся плаче жартувати жартуєш вітаю живемо жив
жила прожив помер народився виріс росте росту сплю спиш прокинувся встав встаю встала ляже ліг сів
сіла сядь сяду впаде стій стійте годі давайте ходімо ходім тримаймо дозволь дозвольте вибачаю
пробачте допоможу допоміг допомогла мрію вірю надіюсь шкодую бажаючи обираю обрав вибрав вибрали
вибираю міняю змінюється замовляє радить радив радила порадив порадьте порадь раджу підкажи
підкажіть підкажете підскажіть цікавить цікавився хвилює переживає переживай хвилюйся нервує дратує
бісить втомлює вражає дивує тішить шокує лякає заважає заважав допомагає сприяє впливає стосується
належить означає триває тривав тривало тривати починається закінчується йдеться ідеться нагадую
нагадай нагадало повторюю повторив повторює голови голові руку рук очей вуха рот серце душу спину
спина пальці волос тіло здоровя хвороба лікар лікарі ліки їжа їжу їжі воду води водою молоко хліб
мясо риба сир яйця цукор сіль овочі фрукти яблука посуд тарілка чашка чашку ложка ніж кухні кімната
кімнати будинку будинки під їзд поверх поверху стіна стіни вікно вікна стеля підлога двір двору
подвір сад річка небо земля трава квіти квітка вулиці дороги дорогу міста містечко село селі країни
світ світу світі магазин магазину базар кафе заклад ресторан музей школу школи клас учитель студент
урок армія війна війни поліція суд закон церква свято гривень гривня гривні копійок тисяч тисяча
тисячі мільйон сотня сто двадцять тридцять сорок пятдесят двісті кіло кілограм метр метри метрів
літр градус відсоток відсотків відсотки процент процентів номер номеру номером слів мови історія
історії казка новини новину правди брехня помилився помилилась думки надія страх радість таємниця
подарунок подарунки подяка взуття сорочка штани шапка сумка окуляри годинник папір ручка столу столі
стільці диван шафа лампа ліфт машину авто автобус потяг поїзд літак велосипед таксі квиток квитки
дощик сегодня вечером днем ночью утра вечера часы минут минуту минуты секунды недель месяца месяцев
месяцы лет понедельника вторника среды среду пятницу пятницы субботу воскресенье январь января
февраль февраля март марта апрель апреля май мая июнь июня июль июля август августа сентябрь
сентября октябрь октября ноябрь ноября декабрь декабря вскоре временно постоянно постепенно внезапно
мигом вовремя давненько человека человеку девочка мальчик взрослый стороны бок концу конца конце
начала вверху сзади спереди слева верхний нижний части четверть кучу раза разы вещь вещи вещей делу
делах случай случаи случае ситуация ситуации смысла значение значит цели виды вида рода род выбор
выбора вариант варианты вариантов пример примера попытка разница разницу тяжелый тяжелая тяжелое
легкое простой простая простые сложный сложная сложно быстрый медленный удобный неудобно полезно
полезный бесполезно нужен нужна нужны известно лишний лишнее лишние прав неправ виноват виновата
точный точная обычный обычная обычное нормальный нормальная плохая хорошая хорошие крутой крутая
смешной смешная страшный странный странная глупый счастливый грустный главный главная главное
главные основной основная основное основные отдельный общий общая общее собственный чужой настоящий
молодая старая старое старые свежий малый малая малые маленькая длинная долгий короткая высокий
высокая низкий низкая узкий полный полная пустой пустая чистый чистая грязный теплый теплая холодный
холодная горячий горячая светлый темный белая черный красный синий зеленый желтый рыжий серый
золотые золотой бедный бедные бедняга бывало бываю становится станет случилось произошло происходит
появляется имеете умеет умею умеешь смогу сможет сможем смог смогла хотят хотели желает желательно
думаете думают знают помните помнят вспомни запомнил запомни забыли забывает понимаешь понимает
понимают понимаете понять поймет жду ждем ждут ждали смотри смотрите смотрит видит видят видели
слышали слышно слышишь слушал говоришь говорит говорят говорил говорите сказал расскажи расскажу
рассказал объясни объяснил объяснит спроси спрашиваю спрашивает спрашивал ответил ответила отвечает
отвечают пишешь пишут читает прочитал делаете делала делали делают дает дают даем даешь отдал отдай
идет идут шел шла хожу ходит пойдем пойдет пошел пошла пошли придет пришло пришли приду приди придут
приходит приходил выхожу вышло вышли выйду зашел заходит едет ехал ехала поеду летит бежит стоит
стоял стоят сидит сидел лежит лежал висит висел держи держу держит держись тянет несет нес принес
привез берет берут берем клал положил положила оставь оставил остались хватило продал платит стоило
ищет искали найди пытался пыталась пробовал пробовала попробовал удалось получилось оказалось
показалось кажись считает боялся испугался рады смеюсь плачет шутишь живем жил умер родился вырос
растет спишь проснулся встал лег сел села упадет стой стойте поехали пойдемте позволь позвольте
помогу помог помогла мечтаю надеемся жалею выбираю выбрал выбрали меняю советует советовал
посоветуйте посоветуй советую подскажи подскажите подскажет интересует волнует беспокоит бесит
утомляет удивляет радует пугает мешает мешал помогает помогло влияет касается означает длится
длилось начинается заканчивается закончится напоминаю напомни повторяю повторил дошел дошла улетел
прилетел голове уши пальцы тело здоровье болезнь врач лекарство еда еды воды хлеб рыба сыр яйца
сахар соль овощи фрукты яблоки посуда тарелка нож кухне комната комнаты доме домов подъезд этажа
этаже стена стены дверь двери окна потолок пол крыша двор двора река цветы цветок улицы города
городе деревня страны мира мире магазина рынок класс армия войны полиция церковь деньги денег рублей
рубля рубль копеек тысяч тысяча тысячи миллион двадцать тридцать пятьдесят двести кило килограмм
метры метров литр процентов проценты слов язык языка история истории сказка новости ложь ошибся
ошиблась мысли мечта надежда грусть радость тайна подарок подарки одежда обувь рубашка штаны очки
бумага стола столе стулья шкаф лифт поезд самолет такси билет билеты ветер товарищ товарища new
newer newest current currently making having being doing moving running sitting standing stop stops
stopping burn burns sooner monthly weekly yearly info information receive received computer
computers awesome wonderful rude polite fun hopeless helpless pointless meaning means attempt
attempts aware chosen clueless coffee confuse confused confusing convince create cool depressing
depend easiest else everyday evidence exist existing exists expert experts fancy fault favourite
fellow fellows fewer figured fixing folk forced fortunate frankly frequent frustrated frustrating
frustration gladly grab grateful guessing guilty habit hassle heck hell hopefully hopes hoping hurry
ignoring interested joking kick known lame legal letting lied lies lift lol loser louder loves
madness magical makes manner mention mere mine minor moron morning nap nature nonsense notes oldest
ongoing opposite ourselves pathetic patience patient perfect pleased pleasure poke politics
possibility ppl precisely pretend pretty promise purely quickest quietly rant realistic refer refuse
regret relevant relief respect ridiculous sadly sake sanity scared scary secret selling serious
shocked shy silence sincere smarter spending spot stare stolen strongly struggle stupidity suffer
suggest suits superior surprised surprising suspect tempted tempting terrific thankfully thick thin
thinks thrilled tight trusted typical ugly ultimately uncle understood unlikely unsure usable vague
valid view virtually wake waste wasting weak weirdest welcome whine wiser wish wishes wondered
wondering worried worries worthwhile wow yell yelling alive arrive arrived barely beat beats beyond
blow brave bucks calm cent cents chat circle claim claims climb college constantly convenient cousin
cover covered cross crowd damage danger dangerous decade degree degrees deserve deserves drag drew
driver drove dull duty elsewhere enjoyed era essay exam exciting facing faith fake farm fashion fate
fewest fifth film filled fingers fits flat flight float former fourth fridge frozen fruit fuel fuss
gap garden gather genius gentle giant gift glance grand grass grew guests guide habits handful
happiest harsh hate heaven hers hint hints hobby honest honor hospital hotel humor hurts ideal ill
imagination inch indoors inspired instinct jealous journey joy keen kilometre kindness ladies lake
laptop laying leaf leaning legend lesson lessons lighter lip lit literally loan loads locals lonely
longest lots lunchtime maid market marry mature medicine mild minds miracle mountain mud museum
mystery nearest newspaper nights nineteen noisy notion numerous odds officially outdoor pace painful
park passion peak pictures pity planet plate pleasant pocket poet police pool praise pregnant pride
prize professor promised queen quest rarely regards rely repeat repeatedly rice rise risen roof
routine rub sand scene scream seek sentence shade shell shine shoulder shout sights singing skin
slip slow smooth soft soul soup spare speech spirit spoon stairs stars stick stomach strength stress
stuff subject sugar suit swim talent taught teeth tend thief thirty throat thumb ticket tidy toe
tooth tour tradition trap trick tune twist university upper vast victory village visitor wage wander
warmth wash wave weapon wheel whisper wing witness wooden worn wound yard yellow notify differ
differs differed пяти сім вісім девять шесть семь восемь чотирьох вісімдесят девяносто восемьдесят
bruh fam чувак чел бро братан кста сьодні седня учора нифіга ніфіга нифига дофіга дофига якраз вжеж
реально
коза козел корова коник курка півень свиня вівця щур пташка птах голуб ворона рибка їжак ведмідь
вовк лисиця лис заєць зайчик мавпа крокодил слон жаба муха комар бджола тарган павук єнот дракон
єдиноріг динозавр лев тигр орел чарівник чаклун чарівниця відьма привид монстр зомбі ніндзя джедай
супермен геній король королева принц принцеса цар імператор лицар боєць снайпер пірат клоун маніяк
псих божевільний песиміст філософ романтик поет мудрець мудрий мудрість дідусик ледар лінивець
трудоголік невдаха легенда карма пекло рай чудасія космос комедія трагедія прикол сміховинний
сміхота нудно нудьга сумую соромно ганьба ліньки страшенно неймовірно неймовірний чудесно пречудово
розкішно дурниця дурниці дурник маячня нісенітниця дичина катастрофа халява кайф кайфую кайфово
балдіти задовбало дістало набридло набридає втомило замахало обожнюю обожнює заздрю заздрити
горджусь засмучений засмутився ображаюсь злюся злий налякав здивований здивувався кричати кричить
крик сміятися реготати усміхнувся цілувати шепотіти мовчати мовчить лаятись сварити сварка брехати
обіцяти клянусь лягти вставати прокидатися пю налити наливай варити пекти смажити різати кусати
нюхати дихати чхати стрибати стрибнути повзти тікати утік втік втекти ховати сховався губити загубив
загубила загубилась красти вкрали поцупив дарую годувати пригостити пригощаю доїти кулак кулаки
кишеня кишені коліно плече палець борода вуса язика щока лоб живіт дупа термос дзеркало рушник мило
свічка іграшка іграшки мяч кулька гаманець кружка горнятко виделка сковорідка каструля пательня
мікрохвильовка статуя музейний хрестик вишивати позавчора післязавтра ранковий нічний вечірній
опівночі світанок щовечірній пообіді укриття сирена сирени шахеди обстріл прильот блекаут світла
спізнюсь спізнився спізнилась дочекатись дочекався встигаю поспішаю поспішай квапся народний
старенький сусідка сусідський дядечко хазяїн гостювати терпіти терпи потерпи мучитись мучусь
страждати страждаю помираю вижити виживемо вижив прорвався жартівник жартома балакати балачки
базікати побалакати поговорити поговоримо поспілкуватись обговорю посидіти посидимо постоїмо
полежати прилягти присісти відпочити відпочивати відпочинок відпочиваю розслабся їздити доїхати
доїхав доїду дійти дійшов дістатись приповз приплентатись вирушаю вирушив вертаюсь уяви вигадав
вигадувати вигадка пригода пригоди здогадатись здогадалась здогадався чутки плітки пліткувати
малесенький крихітний величезний товстий лисий кучерявий блондинка брюнетка конь лошадь курица петух
свинья овца крыса птичка птица голубь рыбка ежик медведь волк лиса заяц обезьяна лягушка пчела
таракан паук енот единорог волшебник волшебница колдун ведьма призрак зомби ниндзя гений принцесса
царь император рыцарь боец пират маньяк сумасшедший пессимист философ поэт мудрец мудрый мудрость
лентяй трудоголик неудачник ад комедия трагедия смехота скука скучаю стыдно позор невероятно
невероятный роскошно глупость глупости чушь бред дичь достало надоело надоедает обожаю завидую
завидовать горжусь радуюсь расстроился обиделся обиделась обижаюсь злюсь злой напугал удивился
кричать кричит ржать улыбаться улыбнулся целовать шептать молчать молчит ругаться ругать ссора врать
врет обещать лечь лягу вставать просыпаться пью выпил налить варить жарить резать кусать нюхать
дышать чихать прыгать прыгнуть ползти убегать сбежал прятать спрятался воровать украли угощать
угощаю кормить покормить карман колено плечо палец усы щека живот жопа зеркало полотенце мыло свеча
игрушка игрушки шарик кошелек вилка сковородка кастрюля микроволновка позавчера послезавтра
вчерашний утренний ночной вечерний полночь рассвет опаздываю опоздал опоздала опоздаю дождаться
дождался успеваю успеть спешу спеши торопись народный сосед соседка соседи дядечка хозяин хозяйка
терпеть мучиться мучаюсь страдать страдаю умираю выжить выживем выжил болтать болтовня поболтать
поговорить поговорим посидеть посидим постоим полежать прилечь присесть отдохнуть отдыхать отдыхаю
расслабься ездить доехать доехал доеду дойти добраться добрался придумал выдумал выдумка приключение
догадаться догадалась догадался слухи сплетни огромный толстый худой лысый
пєш пє пємо пєте пють їси їмо їдять їв їла їли зїв зїла зїли зїсти зїм доїв доїла сплять спимо дасть
дамо дасте дадуть даю даєш брала брали візьмеш йдеш йдемо йдете їдеш їдемо їдуть чує чуємо чують бю
бє бють бив била били мию миє миють мив ллє ллють лив лила зву звати зветься звуть кличу кличе ждеш
жде ждемо ждав гнав рву рве рвав стануть кладу кладе вів вела вели везу віз везла несла лягла встану
встане бється їж їжте пий пийте йди йдіть ідіть спи їдь іти дати бити пьешь пьет пьем пьют пил ем
ешь ест едим едят ела ели съел съела съем съесть спят дашь даст дадут брал возьмешь возьмет идешь
шли едешь едут ждешь ждет бью бьет моет лью льет лил зову зовут зовет рвет рвал кладет ведет вел вез
сядет легла встанет пей пейте идите езжай обіду обідом обеда обедом
"""
