"""Pairs for the metric's tests: one row, and honest homework on it, worked out by hand in ten languages.

All of them ask how many lines of a grating may be lit so that the path difference between the first and the last in
second order stays below the coherence length of a sodium lamp: 254, which is 0.51 mm of a grating of 500 lines a mm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import dspy

from glan_dspy.optimize.metric import Metric, Score
from glan_dspy.optimize.rows import Row, example_of, load_rows
from glan_dspy.records import ClassSession, Discipline, Sample, Subject, Syllabus, subject_id, syllabus_id

_ID = subject_id(Discipline(name="Optics"), "Wave Optics")
SUBJECT = Subject(
    id=_ID,
    discipline="Optics",
    name="Wave Optics",
    level=300,
    subtopics=("interference", "diffraction", "polarization"),
)
SYLLABUS = Syllabus(
    id=syllabus_id(_ID),
    subject_id=_ID,
    sessions=(
        ClassSession(name="Interference", key_concepts=("path difference", "coherence length", "thin film")),
        ClassSession(name="Diffraction", key_concepts=("single slit", "diffraction grating", "resolving power")),
        ClassSession(name="Polarization", key_concepts=("Brewster angle", "birefringence", "wave plate")),
    ),
)
SAMPLE = Sample(
    strategy="double", sessions=(0, 1), concepts=(("path difference", "coherence length"), ("diffraction grating",))
)
ROW = Row(split="val", discipline="Optics", subject=SUBJECT, syllabus=SYLLABUS, sample=SAMPLE)


class Pair(NamedTuple):
    question: str
    answer: str


HONEST = {
    "English": Pair(
        "A sodium lamp emits at 589 nm with a coherence length of "
        "0.30 mm. Its light falls on a diffraction grating with "
        "500 lines per millimetre. Find the greatest number of lines "
        "that may be lit so that, in second order, the path "
        "difference between the first and the last of them does not "
        "exceed the coherence length, and state how wide the "
        "lit strip is. Explain what happens to the maximum when the whole grating is lit instead.",
        "Neighbouring lines differ by two wavelengths in second order, "
        "2 x 589 nm = 1178 nm. Between the first and the "
        "last of N lines the path difference is therefore about 1178 "
        "nm times N.\n\nIt must not exceed 0.30 mm, so N is "
        "at most 0.30 mm / 1178 nm = 254. At 500 lines per millimetre these take up 254 / 500 = 0.51 mm.\n\nWhen the "
        "whole grating is lit, rays from far apart no longer keep "
        "a fixed phase. They add in intensity only, so the peak "
        "stops getting narrower although it still grows brighter.",
    ),
    "Korean": Pair(
        "파장 589 nm인 나트륨 램프의 가간섭 길이는 0.30 mm이다. 이 "
        "빛이 1 mm당 500개의 홈이 있는 회절격자에 수직으로 입사한다. "
        "2차 회절에서 첫 번째 홈과 마지막 홈 사이의 경로차가 가간섭 길이를 "
        "넘지 않도록 하려면 최대 몇 개의 홈까지 비출 수 있는지 "
        "구하고, 그때 비추는 폭을 밀리미터로 답하시오. 격자 전체를 비추면 극대의 폭이 어떻게 되는지도 설명하시오.",
        "2차 회절에서는 이웃한 두 홈의 경로차가 파장의 두 배, 곧 1178 "
        "nm이다. 따라서 홈이 N개이면 양 끝의 경로차는 대략 "
        "1178 nm에 N을 곱한 값이다.\n\n이 값이 0.30 mm 이하여야 하므로 "
        "N은 0.30 mm를 1178 nm로 나눈 254개를 넘을 수 없다. "
        "1 mm에 500개가 있으니 비추는 폭은 약 0.51 mm이다.\n\n격자 "
        "전체를 비추면 멀리 떨어진 홈에서 온 빛은 위상 관계를 잃어 "
        "세기만 더해진다. 그래서 극대는 밝아지지만 더 좁아지지는 않는다.",
    ),
    "Japanese": Pair(
        "波長589 nmのナトリウムランプの可干渉距離は0.30 mmである。この光を1 "
        "mmあたり500本の溝をもつ回折格子に垂直に当てる。"
        "2次の回折において、最初の溝と最後の溝からの光の光路差が可干"
        "渉距離を超えないためには、最大で何本の溝まで照らしてよいか。"
        "そのときの照射幅を求め、格子全体を照らした場合に極大の幅がどう変わるかを説明せよ。",
        "2次では隣り合う溝の光路差は波長の2倍、すなわち1178 nmである。したがってN本の両端では、光路差はおよそ1178 "
        "nmのN倍になる。"
        "\n\nこれが0.30 mm以下でなければならないので、Nは0.30 mmを1178 "
        "nmで割った254本が上限である。1 mmに500本あるから、"
        "照射幅は約0.51 mmとなる。\n\n全体を照らすと、離れ"
        "た溝から来る光は位相の関係を失い、強度だけが足し合わされる。"
        "そのため明るくはなるが、極大はそれ以上鋭くならない。",
    ),
    "Chinese": Pair(
        "一盏钠灯发出波长为589纳米的光，相干长度为0.30毫米。该光垂直照射到每毫米500条刻线的衍射光栅上。"
        "要使第二级衍射中第一条与最后一条刻线之间的光程差不超过相干长度，最多可以照亮多少条刻线？"
        "求出此时被照亮区域的宽度，并说明如果照亮整个光栅，主极大会发生什么变化。",
        "在第二级中，相邻刻线的光程差为两个波长，即1178纳米。因此N条刻线两端之间的光程差约为1178纳米乘以N。\n\n"
        "它不能超过0.30毫米，所以N最多为0.30毫米除以1178纳米，即254条。每毫米有500条，被照亮区域的宽度约"
        "为0.51毫米。\n\n"
        "如果照亮整个光栅，相距较远的刻线发出的光失去固定的相位关系，只能强度相加。主极大会更亮，但不再变窄。",
    ),
    "Spanish": Pair(
        "Una lámpara de sodio emite a 589 nm con una longitud de coherencia de 0,30 mm. Su luz llega a una red de "
        "difracción de 500 líneas por milímetro. Calcula cuántas "
        "líneas pueden iluminarse como máximo para que, en el "
        "segundo orden, la diferencia de camino entre la primera y la última no supere la longitud de coherencia, e "
        "indica el ancho de la franja iluminada. Explica qué le ocurre al máximo si se ilumina toda la red.",
        "En el segundo orden, dos líneas vecinas difieren en dos longitudes de onda, es decir, 1178 nm. Entre los "
        "extremos de N líneas la diferencia de camino es, por tanto, de unos 1178 nm por N.\n\nComo no debe superar "
        "0,30 mm, N vale a lo sumo 0,30 mm / 1178 nm = 254. Con 500 líneas por milímetro, la franja mide 0,51 mm.\n\n"
        "Si se ilumina toda la red, los rayos que vienen de puntos "
        "lejanos pierden la relación de fase y solo suman sus "
        "intensidades: el máximo es más brillante, pero ya no se estrecha.",
    ),
    "German": Pair(
        "Eine Natriumlampe strahlt bei 589 nm mit einer Kohärenzlänge "
        "von 0,30 mm. Ihr Licht fällt auf ein Beugungsgitter "
        "mit 500 Strichen pro Millimeter. Wie viele Striche dürfen "
        "höchstens beleuchtet werden, damit der Gangunterschied "
        "zwischen dem ersten und dem letzten in zweiter Ordnung die "
        "Kohärenzlänge nicht übersteigt, und wie breit ist der "
        "beleuchtete Streifen? Erklären Sie, was mit dem Maximum geschieht, wenn das ganze Gitter beleuchtet wird.",
        "In zweiter Ordnung unterscheiden sich benachbarte Striche "
        "um zwei Wellenlängen, also um 1178 nm. Zwischen den "
        "Enden von N Strichen beträgt der Gangunterschied daher rund "
        "1178 nm mal N.\n\nEr darf 0,30 mm nicht übersteigen, "
        "also ist N höchstens 0,30 mm / 1178 nm = 254. Bei 500 Strichen pro Millimeter sind das 0,51 mm.\n\nWird das "
        "ganze Gitter beleuchtet, verlieren weit entfernte Strahlen "
        "ihre feste Phase und addieren nur ihre Intensitäten. "
        "Das Maximum wird heller, aber nicht mehr schmaler.",
    ),
    "Vietnamese": Pair(
        "Một đèn natri phát ánh sáng bước sóng 589 nm với độ dài "
        "kết hợp 0,30 mm. Ánh sáng này chiếu vuông góc vào một "
        "cách tử nhiễu xạ có 500 vạch trên mỗi milimét. Hãy tính "
        "số vạch lớn nhất có thể được chiếu sáng để ở bậc hai, "
        "hiệu quang trình giữa vạch đầu và vạch cuối không vượt "
        "quá độ dài kết hợp, rồi cho biết bề rộng của dải được "
        "chiếu. Giải thích điều gì xảy ra với cực đại nếu chiếu sáng toàn bộ cách tử.",
        "Ở bậc hai, hai vạch kề nhau có hiệu quang trình bằng hai "
        "bước sóng, tức là 1178 nm. Vì vậy, giữa hai đầu của N "
        "vạch, hiệu quang trình xấp xỉ 1178 nm nhân với N.\n\nGiá trị này không được lớn hơn 0,30 mm nên N tối đa là "
        "0,30 mm chia cho 1178 nm, bằng 254. Với 500 vạch trên một "
        "milimét, dải sáng rộng khoảng 0,51 mm.\n\nNếu chiếu "
        "toàn bộ cách tử, các tia ở xa nhau mất quan hệ pha và chỉ "
        "cộng cường độ. Do đó cực đại sáng hơn nhưng không hẹp "
        "thêm nữa.",
    ),
    "Swahili": Pair(
        "Taa ya sodiamu hutoa mwanga wenye urefu wa wimbi wa nanomita "
        "589, na urefu wake wa mshikamano ni milimita 0.30. "
        "Mwanga huo unaangukia wavu wa mtawanyiko wenye mistari 500 "
        "kwa kila milimita. Tafuta idadi kubwa zaidi ya mistari "
        "inayoweza kuangazwa ili, katika daraja la pili, tofauti "
        "ya njia kati ya mstari wa kwanza na wa mwisho isizidi "
        "urefu wa mshikamano. Eleza pia kinachotokea kwa kilele cha mwanga wavu wote ukiangazwa.",
        "Katika daraja la pili, mistari miwili iliyo jirani hutofautiana "
        "kwa mawimbi mawili, yaani nanomita 1178. Kwa hiyo "
        "tofauti ya njia kati ya ncha mbili za mistari N ni takriban "
        "nanomita 1178 mara N.\n\nThamani hii haipaswi kuzidi "
        "milimita 0.30, hivyo N haiwezi kupita 254. Kwa kuwa kuna "
        "mistari 500 kwa milimita, upana unaoangazwa ni milimita "
        "0.51.\n\nWavu wote ukiangazwa, miale inayotoka mbali hupoteza "
        "uhusiano wa awamu na kujumlisha nguvu pekee. Kilele "
        "kinang'aa zaidi lakini hakiwi chembamba zaidi.",
    ),
    "Russian": Pair(
        "Натриевая лампа излучает на длине волны 589 нм, длина когерентности света равна 0,30 мм. Свет падает на "
        "дифракционную решётку, у которой 500 штрихов на миллиметр. Найдите наибольшее число освещённых штрихов, при "
        "котором разность хода между первым и последним во втором порядке не превышает длины когерентности, и ширину "
        "освещённой полосы. Объясните, что произойдёт с максимумом, если осветить всю решётку.",
        "Во втором порядке соседние штрихи дают разность хода в две "
        "длины волны, то есть 1178 нм. Значит, между краями N "
        "штрихов она приблизительно равна 1178 нм, умноженным на N.\n\nЭта "
        "величина не должна быть больше 0,30 мм, поэтому "
        "N не превосходит 254. При 500 штрихах на миллиметр освещённая "
        "полоса имеет ширину 0,51 мм.\n\nЕсли осветить всю "
        "решётку, лучи от далёких штрихов теряют постоянную фазу "
        "и складываются лишь по интенсивности. Максимум станет "
        "ярче, но уже не станет уже.",
    ),
    "Arabic": Pair(
        "يبعث مصباح صوديوم ضوءًا طوله الموجي 589 نانومترًا وطول ترابطه "
        "0.30 مليمتر. يسقط هذا الضوء عموديًا على محزوز حيود فيه "
        "500 خط في كل مليمتر. احسب أكبر عدد من الخطوط يمكن إضاءته بحيث "
        "لا يتجاوز فرق المسار بين الخط الأول والخط الأخير في "
        "الرتبة الثانية طول الترابط، ثم بيّن عرض الشريط المضاء. اشرح ما يحدث للقمة الضوئية إذا أضيء المحزوز كله.",
        "في الرتبة الثانية يختلف كل خطين متجاورين بطولين موجيين، أي "
        "1178 نانومترًا. لذلك يكون فرق المسار بين طرفي عدد N من "
        "الخطوط نحو 1178 نانومترًا مضروبًا في N.\n\nويجب ألا يتجاوز هذا "
        "الفرق 0.30 مليمتر، فيكون N على الأكثر 254 خطًا. وبما أن "
        "في المليمتر 500 خط، فإن عرض الشريط المضاء يساوي 0.51 مليمتر "
        "تقريبًا.\n\nأما إذا أضيء المحزوز كله فإن الأشعة الآتية من "
        "خطوط متباعدة تفقد علاقة الطور بينها وتجمع شداتها فقط، فتصبح القمة أشد سطوعًا لكنها لا تصبح أضيق.",
    ),
}


def score(language: str, question: str, answer: str, row: Row = ROW, stage: str | None = None) -> Score:
    """What a metric that has seen nothing says of a pair."""
    return Metric(language)(example_of(row, language), dspy.Prediction(question=question, answer=answer), stage)


def built_in(count: int) -> Iterator[Row]:
    """Rows of the built-in set from as many disciplines as there can be."""
    rows = [row for rows in load_rows() for row in rows]
    return iter(rows[:: len(rows) // count][:count])
