"""Words of business that schemas and people use for the same thing, and short forms that are common in schemas."""

from collections.abc import Mapping
from typing import Final

_GROUPS: Final = """
customer client buyer debtor kunde debitor partner
supplier vendor creditor lieferant kreditor partner
manufacturer maker producer brand hersteller marke
invoice bill billing rechnung faktura
order auftrag bestellung purchase
product item article good sku artikel produkt material
employee staff worker personnel colleague person people mitarbeiter headcount workforce
salary wage pay payroll compensation gehalt lohn
revenue sale turnover income earning umsatz erloes takings proceeds invoice
sold sell selling sale seller order
bought buy buying spend spent purchase order invoice payment
owner creator author user
price cost amount preis betrag kosten expense
payment paid pay zahlung
profit margin gewinn marge
shipment delivery shipping shipped ship dispatch delivered lieferung versand
stock inventory warehouse lager bestand
warehouse depot store lager
shop store branch outlet filiale laden
quantity amount count menge anzahl
company organisation organization firm account business firma unternehmen
contact partner person kontakt
country nation land
city town municipality stadt ort
region state province area territory district gebiet
address location adresse
phone telephone mobile telefon
mail email
user account login member benutzer editor
department division unit team abteilung
vacation holiday leave absence absent sick sickness urlaub fehlzeit krank
job position vacancy role opening stelle
hire hiring hired recruit recruiting recruitment applicant
applicant candidate application bewerber bewerbung
manager boss supervisor leader head chef leiter
contract agreement vertrag
project projekt
task todo activity aufgabe
ticket issue case incident request complaint support
finish finished complete completed completion done closed end ended
begin began start started opened
problem defect fault failure failed error bug damage issue fehler
reason cause grund why
cancel cancelled cancellation void terminated ended churn storno kuendigung
late delay delayed overdue due deadline
appointment meeting event conference seminar termin veranstaltung
attendee participant registration visitor guest signup teilnehmer anmeldung
booking reservation buchung
quote quotation offer proposal angebot
lead prospect opportunity deal pipeline
rep salesperson salesman agent user vertreter verkaeufer
quota target goal ziel
campaign mailing newsletter kampagne
reader subscriber recipient subscription abonnent
discount rebate reduction coupon voucher rabatt gutschein
refund return returned credit retoure gutschrift
reminder dunning mahnung
tax vat steuer mwst
currency money waehrung
bank iban konto
ledger bookkeeping accounting journal buchung buchhaltung
debt liability receivable payable open due offen forderung
budget plan planned forecast
asset equipment machine device maschine anlage geraet
vehicle car truck fleet auto fahrzeug
mileage odometer distance kilometer
maintenance repair service wartung reparatur
production manufacturing fertigung produktion
part component ingredient teil
category group kind type class family kategorie gruppe art
comment remark note review feedback bemerkung kommentar
rating score star satisfaction satisfied happy happiness feedback bewertung zufriedenheit
survey poll questionnaire umfrage
answer response reply antwort
question frage
author writer composer creator autor
post article blog beitrag
page site seite
visit visitor view hit traffic besuch
song track recording titel
album record release
artist musician band singer kuenstler
concert gig show performance event konzert
venue place hall location ort
book publication title buch
film movie video
picture image photo cover bild
file document attachment datei dokument
message chat mail nachricht
course training class lesson kurs schulung
student pupil learner schueler
teacher instructor lecturer lehrer
exam test quiz pruefung
language sprache
subscription membership plan abo
doctor physician clinician surgeon nurse provider arzt
patient person
medicine drug medication pharmacy prescription prescribed medikament
disease illness diagnosis diagnosed condition krankheit
surgery operation surgical eingriff
hospital ward clinic location station
birth birthday birthdate born age old alter geburtstag
death died dead deceased tod
gender sex geschlecht
status state stage phase step
date time day datum
permission right privilege role access recht
change modification edit history audit revision aenderung
schedule shift roster slot schicht
trip journey travel ride route reise
rent rental lease leasing miete
building property house flat apartment room gebaeude
household family dependent
child kid kind
"""
_SHORT_FORMS: Final = """
account acc acct
address addr adr
amount amt
attribute attr
average avg
category cat categ
company comp co
configuration config cfg conf
country ctry
currency curr cur
customer cust cus
date dt dat
department dept dep
description desc descr
document doc
employee emp
invoice inv
language lang
location loc
manager mgr
manufacturing mrp mfg
material mat matl
message msg
number no num nr
order ord
organization org
payment pmt pay
position pos
product prod
purchase po pur
quantity qty
reference ref
salary sal
statistics stat stats
supplier supp
transaction tx txn trx trans
vendor vend
warehouse whse wh
year yr
"""


def _related(lines: str) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in lines.split("\n"):
        for word in (words := line.split()):
            found.setdefault(word, set()).update(set(words) - {word})
    return {word: frozenset(others) for word, others in found.items()}


SYNONYMS: Final = _related(_GROUPS)
SHORT_FORMS: Final = _related(_SHORT_FORMS)
