"""The languages that the detector knows, by the names people give them.

Codes are those of fastText's lid.176. A name is English, as in "Brazilian Portuguese", or the language's own, as in
"한국어"; words for a country, a script or a register are dropped before a name is looked up, and a code is a name too.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_NAMES = """
af afrikaans
am amharic | አማርኛ
an aragonese
ar arabic | العربية | عربي | msa
arz masri
as assamese | অসমীয়া
ast asturian
az azerbaijani | azeri | azərbaycanca
azb south azerbaijani
ba bashkir
bar bavarian
be belarusian | belorussian | беларуская
bg bulgarian | български
bh bihari | bhojpuri
bn bengali | bangla | বাংলা
bo tibetan | བོད་སྐད
br breton
bs bosnian | bosanski
ca catalan | català | valencian
ce chechen
ceb cebuano | bisaya
ckb sorani | central kurdish
co corsican
cs czech | čeština
cv chuvash
cy welsh | cymraeg
da danish | dansk
de german | deutsch
dsb lower sorbian
dv dhivehi | divehi | maldivian
el greek | ελληνικά
en english
eo esperanto
es spanish | castilian | español | castellano
et estonian | eesti
eu basque | euskara
fa persian | farsi | dari | فارسی
fi finnish | suomi
fr french | français
fy frisian | west frisian
ga irish | irish gaelic | gaeilge
gd scottish gaelic | scots gaelic | gaelic
gl galician | galego
gn guarani | guaraní
gom konkani
gu gujarati | ગુજરાતી
gv manx
he hebrew | עברית
hi hindi | हिन्दी | हिंदी
hr croatian | hrvatski
hsb upper sorbian | sorbian
ht haitian | haitian creole
hu hungarian | magyar
hy armenian | հայերեն
ia interlingua
id indonesian | bahasa indonesia | bahasa
ilo ilocano | ilokano
io ido
is icelandic | íslenska
it italian | italiano
ja japanese | 日本語
jv javanese
ka georgian | ქართული
kk kazakh | қазақша
km khmer | cambodian
kn kannada | ಕನ್ನಡ
ko korean | 한국어 | 조선말
ku kurdish | kurmanji
kv komi
kw cornish
ky kyrgyz | kirghiz
la latin
lb luxembourgish
lez lezgian
li limburgish
lmo lombard
lo lao | laotian
lt lithuanian | lietuvių
lv latvian | latviešu
mai maithili
mg malagasy
mhr mari
min minangkabau
mk macedonian | македонски
ml malayalam | മലയാളം
mn mongolian | монгол
mr marathi | मराठी
ms malay | malaysian | bahasa melayu | bahasa malaysia
mt maltese
my burmese | myanmar
nap neapolitan
nds low german | low saxon
ne nepali | नेपाली
new newari | newar
nl dutch | flemish | nederlands
nn nynorsk
no norwegian | bokmål | bokmal | norsk
oc occitan
or odia | oriya
os ossetian
pa punjabi | panjabi
pam kapampangan
pl polish | polski
pms piedmontese
pnb western punjabi
ps pashto
pt portuguese | português
qu quechua
rm romansh
ro romanian | moldovan | moldavian | română
ru russian | русский
rue rusyn
sa sanskrit
sah yakut | sakha
sc sardinian
scn sicilian
sco scots
sd sindhi
sh serbo-croatian
si sinhala | sinhalese
sk slovak | slovenčina
sl slovenian | slovene | slovenščina
so somali
sq albanian | shqip
sr serbian | montenegrin | српски | srpski
su sundanese
sv swedish | svenska
sw swahili | kiswahili
ta tamil | தமிழ்
te telugu | తెలుగు
tg tajik
th thai | ไทย | ภาษาไทย
tk turkmen
tl tagalog | filipino
tr turkish | türkçe
tt tatar
tyv tuvan
ug uyghur | uighur
uk ukrainian | українська
ur urdu | اردو
uz uzbek
vec venetian
vi vietnamese | tiếng việt
vo volapük
wa walloon
war waray
wuu wu | shanghainese
xmf mingrelian
yi yiddish
yo yoruba | yorùbá
yue cantonese
zh chinese | mandarin | putonghua | hanyu | 中文 | 汉语 | 漢語 | 普通话 | 简体中文 | 繁體中文 | zho
"""

_TAKEN_FOR = """
af nl
an es ca
arz ar
ast es gl
azb az fa
az tr azb
bar de als
ba tt ru kk
be uk
bh hi mai ne mr
br eu
bs hr sr sh sl
ca oc
ce ru
ceb tl war ilo
ckb ku fa ar tr
co it sc fr
cs sk
cv tt
cy br
da no nn
dsb hsb pl cs
eo io ia
es gl ast an
fa azb ckb lrc mzn
fr wa
fy nl af nds
ga gd gv
gd ga gv
gl pt es
gn qu
gom mr hi
gv ga gd cy en fy
hi mr ne sa bh mai
hr sr bs sh sl
hsb pl cs dsb sk
ia it es la io
id ms min jv su
ilo tl ceb
io eo ia
jv id ms su
kk ky tt ba
ku ckb tr diq
kv ru
kw br cy
ky kk tt sah
la it
lb de nds nl
lez ru
li nl de
lmo it pms
mai hi ne bh mr
mhr ru mrj
min id ms
mk bg sr
mn ky bxr xal
mr hi ne sa gom
ms id min jv
mwl pt es gl
nap it scn
nds nl de
ne hi mr mai dty
new ne hi mr
nl af li vls nds
nn no da
no nn da
oc ca fr
os ru
pa pnb
pam tl ilo
pms it fr
pnb ur
pt gl mwl
qu gn
rm it ca
rue uk ru be
sa hi mr ne
sah ru tyv ky kk
sc it es fr co
scn it co
sco en
sd ur fa ar
sh hr sr bs sl
sk cs
sl hr bs sr sh
sr hr bs sh mk
su id ms jv
tg fa ru
tk tr az uz
tl ceb war ilo
tt ba kk ky ru
tyv ru sah ky kk
ug uz tr
uk be rue
ur pnb
uz tr az tk
vec it lmo
wa fr
war ceb tl
xmf ka
"""
"""A language, and those that the detector may say instead of it, as tried on texts of each."""

_DROPPED = frozenset(
    "language standard modern formal informal simplified traditional brazilian european american british canadian "
    "australian indian mexican latin-american castilian swiss austrian egyptian levantine gulf iranian afghan "
    "mainland taiwanese cyrillic latin script the in of brazil portugal china taiwan mexico spain france germany "
    "india us uk eastern northern southern plain simple native".split()
)
_WORDS = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")


@lru_cache(maxsize=1)
def table() -> dict[str, str]:
    """Every known name, in lower case, with its code; a code is a name of itself."""
    names: dict[str, str] = {}
    for line in _NAMES.strip().splitlines():
        code, _, listed = line.partition(" ")
        names |= dict.fromkeys([name.strip() for name in listed.split("|")], code) | {code: code}
    return names


@lru_cache(maxsize=256)
def code_of(language: str) -> str | None:
    """The detector's code of a language: 'ko' for "Korean", None for a name that is not in the table.

    >>> code_of("Brazilian Portuguese"), code_of("Simplified Chinese"), code_of("pt-BR"), code_of("Klingon")
    ('pt', 'zh', 'pt', None)
    """
    name = unicodedata.normalize("NFC", language).strip().lower()
    known = table()
    if code := known.get(name):
        return code
    words = _WORDS.findall(re.sub(r"\([^()]*\)", " ", name).replace("_", "-"))
    kept = [word for word in words if word not in _DROPPED]
    for tried in (" ".join(words), " ".join(kept), *(word.partition("-")[0] for word in kept[:1])):
        if code := known.get(tried):
            return code
    return None


def name_of(code: str) -> str:
    """The English name of a code, and the code itself where the table has none."""
    return next((name.title() for name, of in table().items() if of == code), code)


@lru_cache(maxsize=256)
def taken_for(code: str) -> frozenset[str]:
    """The codes that the detector may say of a text in this language, its own among them.

    >>> sorted(taken_for("pt"))
    ['gl', 'mwl', 'pt']
    """
    lines = (line.split() for line in _TAKEN_FOR.strip().splitlines())
    return frozenset(next((line for line in lines if line[0] == code), [code]))
