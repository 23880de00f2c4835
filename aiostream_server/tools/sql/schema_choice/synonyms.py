"""Words of business that schemas and people use for the same thing, and short forms that are common in schemas."""

from collections.abc import Mapping
from typing import Final

_GROUPS: Final = """
customer client buyer debtor kunde debitor partner
supplier vendor creditor lieferant kreditor partner
invoice bill billing rechnung faktura
order auftrag bestellung purchase
product item article good sku artikel produkt material
employee staff worker personnel colleague person mitarbeiter
salary wage pay payroll compensation gehalt lohn
revenue sale turnover income earning umsatz erloes takings proceeds invoice
sold sell selling sale seller order
bought buy buying spend spent purchase order invoice payment
owner creator author user
price cost amount preis betrag kosten
payment paid pay zahlung
shipment delivery shipping dispatch lieferung versand
stock inventory warehouse lager bestand
warehouse depot lager
quantity amount count menge anzahl
company organisation organization firm account business firma unternehmen
contact partner person kontakt
country nation land
city town stadt ort
region state province area gebiet
address location adresse
phone telephone mobile telefon
mail email
user account login member benutzer
department division unit team abteilung
vacation holiday leave absence urlaub
job position vacancy role stelle
applicant candidate bewerber
contract agreement vertrag
project projekt
task todo activity aufgabe
ticket issue case incident request complaint
appointment meeting event termin
quote quotation offer proposal angebot
lead prospect opportunity deal
campaign mailing newsletter kampagne
discount rebate reduction rabatt
refund return credit retoure gutschrift
tax vat steuer mwst
currency money waehrung
bank iban konto
ledger bookkeeping accounting journal buchung buchhaltung
budget plan forecast
asset equipment machine maschine anlage
vehicle car truck fleet fahrzeug
production manufacturing fertigung produktion
part component teil
category group kind type class kategorie
comment remark note review feedback bemerkung
rating score star bewertung
author writer creator autor
post article blog
page site seite
song track recording titel
album record release
artist musician band singer kuenstler
picture image photo bild
file document attachment datei dokument
message chat mail nachricht
course training class kurs schulung
language sprache
subscription membership plan abo
status state stage
date time day datum
reason cause grund
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
