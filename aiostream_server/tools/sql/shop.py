"""The demo shop: a small SQLite database with computed values, so that its answers never change.

Two years of orders (2024 and 2025) of 60 customers in four regions. `orders.total` is the sum of its items' `amount`,
and `amount` is `quantity * unit_price`; prices are multiples of 0.25, so sums are exact. Tables hold the dates as text,
`YYYY-MM-DD`. The same tables load into PostgreSQL: `SCHEMA` is plain SQL, `shop_tables` gives the rows.
"""

import os
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias
from zlib import crc32

Value: TypeAlias = int | float | str
TableRows: TypeAlias = Sequence[tuple[Value, ...]]

SHOP_VERSION: Final = 1
_APPLICATION_ID: Final = 0x53484F50  # "SHOP"

SCHEMA: Final = """
CREATE TABLE regions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    segment TEXT NOT NULL,
    region_id INTEGER NOT NULL REFERENCES regions (id),
    joined_on DATE NOT NULL
);
CREATE TABLE categories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category_id INTEGER NOT NULL REFERENCES categories (id),
    price NUMERIC(10, 2) NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    ordered_on DATE NOT NULL,
    channel TEXT NOT NULL,
    total NUMERIC(10, 2) NOT NULL
);
CREATE TABLE order_items (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL,
    unit_price NUMERIC(10, 2) NOT NULL,
    amount NUMERIC(10, 2) NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX order_items_order ON order_items (order_id);
"""

_REGIONS: Final = ("North", "South", "East", "West")
_SEGMENTS: Final = ("Home", "Business", "Public sector")
_CHANNELS: Final = ("Web", "Shop", "Phone")
_CATALOGUE: Final[Mapping[str, Mapping[str, float]]] = {
    "Coffee": {"Espresso Beans 1 kg": 18.5, "Filter Coffee 500 g": 9.75, "Decaf Beans 500 g": 11.25},
    "Tea": {"Earl Grey 100 g": 7.5, "Green Sencha 100 g": 9.25, "Rooibos 250 g": 8.0},
    "Machines": {"Espresso Machine": 349.0, "Coffee Grinder": 129.5, "Electric Kettle": 59.0},
    "Accessories": {"Milk Frother": 34.5, "Travel Mug": 21.25, "Paper Filters 100": 4.75, "Teapot": 42.0},
}
_FIRST_NAMES: Final = ("Ada", "Bruno", "Clara", "David", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas")
_LAST_NAMES: Final = ("Adler", "Berg", "Costa", "Dahl", "Evans", "Fischer")
_FIRST_DAY: Final = date(2024, 1, 1)
_DAYS: Final = 731  # 2024 is a leap year
_CUSTOMERS: Final = len(_FIRST_NAMES) * len(_LAST_NAMES)
_REGION_OF_TEN: Final = (3, 1, 3, 2, 3, 4, 1, 3, 2, 4)  # four of ten customers live in the East


def _pick(what: str, number: int, choices: int) -> int:
    """A pseudo-random number below `choices`, the same on every machine."""
    return crc32(f"{what} {number}".encode()) % choices


@cache
def shop_tables() -> Mapping[str, TableRows]:
    """The rows of every table. Tables come after the tables that they refer to."""
    products = _products()
    orders, items = _sales({int(row[0]): float(row[3]) for row in products})
    return {
        "regions": list(enumerate(_REGIONS, start=1)),
        "customers": [_customer(number) for number in range(1, _CUSTOMERS + 1)],
        "categories": list(enumerate(_CATALOGUE, start=1)),
        "products": products,
        "orders": orders,
        "order_items": items,
    }


def _products() -> list[tuple[Value, ...]]:
    listed = [
        (name, category, price)
        for category, products in enumerate(_CATALOGUE.values(), start=1)
        for name, price in products.items()
    ]
    return [(number, *product) for number, product in enumerate(listed, start=1)]


def _customer(number: int) -> tuple[Value, ...]:
    first = _FIRST_NAMES[(number - 1) % len(_FIRST_NAMES)]
    last = _LAST_NAMES[(number - 1) // len(_FIRST_NAMES)]
    joined = date(2023, 1, 1) + timedelta(days=_pick("joined", number, 365))
    segment = _SEGMENTS[_pick("segment", number, len(_SEGMENTS))]
    return number, f"{first} {last}", segment, _REGION_OF_TEN[number % len(_REGION_OF_TEN)], joined.isoformat()


def _sales(prices: Mapping[int, float]) -> tuple[list[tuple[Value, ...]], list[tuple[Value, ...]]]:
    """Two orders on most days, three in November and December; each of one to four items."""
    orders: list[tuple[Value, ...]] = []
    items: list[tuple[Value, ...]] = []
    for day in (_FIRST_DAY + timedelta(days=offset) for offset in range(_DAYS)):
        for _ in range(3 if day.month >= 11 else 1 + _pick("busy", day.toordinal(), 2)):
            order = len(orders) + 1
            sold = _items(order, first_id=len(items) + 1, prices=prices)
            items += sold
            customer = 1 + _pick("customer", order, _CUSTOMERS)
            channel = _CHANNELS[_pick("channel", order, len(_CHANNELS))]
            orders.append((order, customer, day.isoformat(), channel, sum(float(item[5]) for item in sold)))
    return orders, items


def _items(order: int, *, first_id: int, prices: Mapping[int, float]) -> list[tuple[Value, ...]]:
    items: list[tuple[Value, ...]] = []
    for line in range(1 + _pick("lines", order, 4)):
        product = 1 + _pick(f"product {line}", order, len(prices))
        quantity = 1 + _pick(f"quantity {line}", order, 3)
        price = prices[product]
        items.append((first_id + line, order, product, quantity, price, quantity * price))
    return items


def build_shop(path: Path) -> None:
    """Create the shop at `path`, unless the file there is already the shop of this version.

    The file is replaced atomically, so several processes may build it at once. Raises `FileExistsError` where `path`
    is another database, and never overwrites that.
    """
    if path.exists() and _version_of(path) == SHOP_VERSION:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_shop())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _version_of(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            application: int = connection.execute("PRAGMA application_id").fetchone()[0]
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError:
        application = version = 0
    if application != _APPLICATION_ID:
        raise FileExistsError(f"{path} is not a demo shop; it was left as it is")
    return version


def _shop() -> bytes:
    """The database file. It is made in memory: on a disk, SQLite would wait for it a dozen times."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        for table, rows in shop_tables().items():
            places = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own names
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SHOP_VERSION}")
        connection.commit()
        return connection.serialize()
