"""Cues for questions about a company's data, in English, German, French, Spanish and Polish.

Such a question has a *subject*: something that a business keeps records of, a word of the database schema, or "our".
What it asks for (a total, a ranking, a list) counts fully only with a subject: "the highest mountain" is a ranking too.
"""

from typing import Final

from aiostream_server.routing.cues import cue

# Subjects. RECORDS are mostly words of businesses; THINGS are also common outside of them.
RECORDS: Final = cue(
    1.2,
    "is about business records",
    words="""
    sale revenue turnover earnings income profit margin order customer client buyer product sku invoice payment refund
    purchase transaction shipment delivery inventory warehouse supplier vendor discount subscription subscriber churn
    employee headcount campaign signup bestseller wholesale retail rental rented rep salesperson takings proceeds
    payroll sold sell selling bought buy ordered shipped ship owe owed unsold unpaid overdue backorder backlog restock
    merchandise goods gmv arr mrr aov ebitda receivable stock kpi cogs freight markup purchased purchasing buying
    invoiced billed delivered dispatched reorder replenish stocked spender debtor checkout cancellation stockout wage
    profitable unprofitable profitability lucrative salesman saleswoman salespeople
    vente vendu vendue vendre commande produit facture benefice fournisseur remise achete achetee acheter livraison
    impaye impayee panier marge
    venta vendido vendida vendimos pedido producto ingreso factura beneficio proveedor cliente compra compraron entrega
    devolucion margen almacen
    """,
    stems="""
    umsatz verkauf bestell kund produkt rechnung gewinn lieferant einnahme lagerbestand kauf gekauft liefer retour
    sprzeda przychod zamowi klient faktur zysk dostaw kupi nieoplacon marza zwrot
    """,
    phrases=r"""
    sen[dt] back
    sign(?:ed|s|ing)? up
    (?:in|out of) stock
    stock levels?
    run(?:s|ning)? (?:out|low)
    mak(?:e|ing) (?:more|less|the most)
    (?:brings?|brought|bringing) in
    how(?:'s|s| is| was) business
    on track
    (?:best|worst|strongest|weakest|slowest|busiest|record) (?:day|week|month|quarter|season|year)
    slow(?:est)?[- ]mov\w+
    chiffre d'affaires
    """,
)
THINGS: Final = cue(
    0.7,
    "is about business matters",
    words="""
    item price priced cost spend spent spending salary bonus budget expense account ticket complaint store shop branch
    return returned basket cart quota target forecast contract booking reservation unit parcel package brand
    promotion visitor visit user member staff business money supply deal shelf rating review cena
    supplied paid pay due accessory article catalogue catalog commission coupon voucher debt loss losing lost earn
    earned office worker hire hired hiring performer performing performance loyalty overtime outlet goal location gross
    net worth pipeline attrition retention cohort conversion occupancy
    magasin employe prix tienda empleado precio
    """,
    stems="filiale mitarbeiter artikel lager preis kosten sklep pracownik magazyn",
    phrases="""
    (?:the|your) (?:numbers|figures)
    (?:which|what|each|every) (?:branch|category|segment|channel|territory|quarter)
    """,
)
DATABASE: Final = cue(
    1.3,
    "asks for the database",
    words="database dataset schema column row record datenbank tabelle tabela",
    phrases=r"""
    (?:what|which|list|show) (?:\w+ ){0,2}tables?
    tables? (?:are|do|is)
    \w+s table
    (?:our|the) (?:data|system)
    base de (?:donnees|datos)
    baz[ay] danych
    """,
)
OURS: Final = cue(
    1.0,
    "is about our own company",
    words="""
    our ours unser unsere unserer unserem unseren notre nos nuestro nuestra nuestros nuestras nasz nasza nasze naszych
    """,
    phrases="(?:with|in|at|of|for|to) (?:the|this) (?:company|firm|shop|store|organi[sz]ation)",
)
WE: Final = cue(
    0.8,
    "is about us",
    words="we us wir uns nous tenemos hemos vendimos mamy mielismy sprzedalismy nam nas",
)
PERIODS_COMPARED: Final = cue(
    0.9,
    "compares periods",
    phrases=r"""
    (?:this|current|last) (?:year|quarter|month|week|season)\b.{0,80}\b(?:than|with|to|against|over) (?:last|previous)
    (?:this|current|last) (?:year|quarter|month|week|season)\b.{0,80}\b(?:vs|versus|and) (?:last|previous|this)
    (?:up|better|worse|down|higher|lower)\b.{0,80}\bthan (?:last|this)
    q[1-4]
    """,
    pattern=r"\bthis (?:year|quarter|month|week)\W*$",
)
SUBJECTS: Final = (RECORDS, THINGS, DATABASE, OURS, WE, PERIODS_COMPARED)

# A record with an identifier: "customer 1042", "invoice 2023-0417", "article AB-200".
IDENTIFIER: Final = cue(
    1.3,
    "names one record",
    after=r"\b(?:customer|client|order|invoice|article|product|item|sku|ticket|account"
    r"|shipment|kunde|bestellung|rechnung|commande|facture|pedido|factura|klient|zamowieni[ea])\s"
    r"(?:no\.? |number |nr\.? |id |#)?",
    phrases=r"(?:[a-z]{1,4}-)?\d[\d-]*",
)
DIMENSIONS: Final = cue(
    0.5,
    "is about business matters",
    words="""
    region country city state month quarter year week day weekday weekend category segment channel department district
    territory brand team line supplier store branch gender reason status type group vendor
    pays ville mois trimestre annee categorie pais ciudad mes ano categoria
    monat quartal jahr land stadt abteilung kategorie kraj miasto kwartal rok
    """,
    stems="miesia kategori wojewodztw",
)

# What is asked for. A reason names the first of these that was found.
TOTALS: Final = cue(
    1.2,
    "totals",
    words="""
    total sum average avg mean median overall aggregate combined percentage percent share proportion fraction ratio
    distribution breakdown cumulative rate summe anteil moyenne moyen somme montant promedio suma
    """,
    stems="gesamt durchschnitt lacz sredni calkowit",
    phrases=r"""
    break (?:\w+ ){0,3}down
    broken down
    """,
)
RANKING: Final = cue(
    1.3,
    "a ranking",
    words="""
    highest lowest most least top bottom best worst largest biggest smallest fewest maximum minimum max min rank ranking
    bestselling slowest fastest cheapest expensive leading longest shortest busiest oldest newest latest first weakest
    strongest greatest heaviest poorest meilleur meilleure moins mayor menor mejor peor meisten
    """,
    stems="hochst meist grosst niedrigst beste wenigst teuerst najwiek najlep najwyz najmniej najniz najczesc",
)
COUNT: Final = cue(
    1.1,
    "a count",
    words="count combien cuanto cuanta cuantos cuantas ile ilu wieviel",
    phrases="""
    how (?:many|much)
    numbers? of
    wie viele?
    """,
)
TREND: Final = cue(
    1.0,
    "a trend",
    words="""
    trend growth grow growing grew grown increase increased decrease decreased decline declined drop dropped fell fall
    rise rose risen change changed develop developed compare compared comparison versus vs seasonality yoy than
    lagging behind ahead forecast predict busier doing evolution comparer comparar evolucion crecimiento
    """,
    stems="entwick vergleich wachstum porown wzrost",
    phrases="""
    over (?:time|the (?:last|past|years|months))
    year (?:over|on) year
    how did
    """,
)
RETRIEVAL: Final = cue(
    0.9,
    "records",
    after=r"^(?:(?:please|pls|now|ok|hi|hello|hey|(?:can|could|would) you|i (?:need|want)(?: to see)?)[\s,]+){0,3}",
    phrases="""
    show|list|display|give me|gimme|find|get|fetch|pull|export|search|look up|filter|check
    plot|chart|graph|visuali[sz]e|draw|rank|count|compare|break|sum|average
    which|who|tell me
    zeige?|liste|finde|welche[rs]?|wer
    montre|affiche|quel(?:le)?s?|qui
    muestra|muestrame|lista|que|cual(?:es)?|quien
    pokaz|wyswietl|podaj|wymien|ktor[yae]|jakie
    """,
)
WANTS: Final = (TOTALS, RANKING, COUNT, TREND, RETRIEVAL)

# What narrows the question down.
PERIOD: Final = cue(
    0.9,
    "a period",
    words="""
    q1 q2 q3 q4 ytd yesterday lately recently january february april june july august september october november
    december januar februar marz juni juli oktober dezember janvier fevrier avril juin juillet aout octobre decembre
    enero febrero abril junio julio agosto octubre noviembre diciembre gestern hier ayer wczoraj
    """,
    stems="""
    styczn lutym marcu kwietni maju czerwc lipcu sierpni wrzesni pazdziern listopad grudni zeszl ostatni ubiegl
    """,
    phrases=r"""
    (?:last|this|past|previous|next|current) (?:\w+ )?(?:day|week|weekend|month|quarter|year|season)s?
    (?:last|this|past|previous|next) (?:spring|summer|autumn|fall|winter|christmas|easter)
    past \w+ (?:days|weeks|months|quarters|years)
    (?:in|since|of|during|for|until|by) (?:march|may|mai|mars|marzo|mayo)
    (?:19|20)\d\d
    so far
    to date
    (?:letzte|vorige|diese)\w* (?:woche|monat|quartal|jahr)\w*
    (?:semaine|mois|trimestre|annee|an) (?:derniere?|passee?)
    (?:ultim|pasad)[oa]s?
    """,
)
FILTER: Final = cue(
    0.6,
    "a condition",
    words="""
    never anyone anybody everyone everybody excluding except without only pending open active inactive cancelled
    canceled duplicate negative missing still yet ever unshipped expired available delayed late weird any every
    """,
    pattern=r"\b(?:over|under|above|below|exceed\w*|between|(?:more|less|fewer) than|at least)\s[$€£]?\d|[<>]=?\s?\d",
)
HAPPENED: Final = cue(
    0.5,
    "what happened",
    after=r"^(?:and |so )?",
    phrases="""
    did|was|were|has|have|are|is
    how (?:did|was|were|are)
    how long (?:has|have)
    who(?:'s)?
    when did
    """,
)
NARROWINGS: Final = (PERIOD, FILTER, HAPPENED)

CUES: Final = (*SUBJECTS, IDENTIFIER, DIMENSIONS, *WANTS, *NARROWINGS)
