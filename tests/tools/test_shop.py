"""The demo shop gives the same answers everywhere, and never overwrites another file."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.tools.sql.shop import SHOP_VERSION, build_shop, shop_tables


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_total_sales_by_region_have_one_clear_winner(shop_path: Path) -> None:
    by_region = """
        SELECT r.name, SUM(o.total) FROM orders o JOIN customers c ON c.id = o.customer_id
        JOIN regions r ON r.id = c.region_id GROUP BY r.name ORDER BY 2 DESC
    """
    expected = [("East", 169168.25), ("North", 75667.75), ("West", 62347.25), ("South", 56288.5)]
    assert ask(shop_path, by_region) == expected


def test_other_answers_that_documents_and_demos_rely_on(shop_path: Path) -> None:
    assert ask(shop_path, "SELECT COUNT(*), SUM(total), MIN(ordered_on), MAX(ordered_on) FROM orders") == [
        (1280, 363471.75, "2024-01-01", "2025-12-31")
    ]
    best = (
        "SELECT p.name, SUM(i.amount) FROM order_items i JOIN products p ON p.id = i.product_id GROUP BY 1 ORDER BY 2"
    )
    assert ask(shop_path, best)[-1] == ("Espresso Machine", 186017)
    months = (
        "SELECT strftime('%Y-%m', ordered_on), SUM(total) FROM orders WHERE ordered_on >= '2025' GROUP BY 1 ORDER BY 2"
    )
    assert ask(shop_path, months)[-1] == ("2025-11", 28139.25)


def test_an_order_is_the_sum_of_its_items(shop_path: Path) -> None:
    wrong = """
        SELECT o.id FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id, o.total
        HAVING SUM(i.amount) <> o.total OR SUM(i.quantity * i.unit_price) <> o.total
    """
    assert ask(shop_path, wrong) == []
    assert ask(shop_path, "PRAGMA foreign_key_check") == []


def test_every_table_has_rows() -> None:
    assert {table: len(rows) > 0 for table, rows in shop_tables().items()} == dict.fromkeys(
        ("regions", "customers", "categories", "products", "orders", "order_items"), True
    )


def test_a_current_shop_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "shop.db"
    build_shop(path)
    before = path.stat()
    build_shop(path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [found.name for found in path.parent.iterdir()] == ["shop.db"]


def test_a_shop_of_another_version_is_built_again(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    build_shop(path)
    ask(path, "PRAGMA user_version = 99")
    build_shop(path)
    assert ask(path, "PRAGMA user_version") == [(SHOP_VERSION,)]


@pytest.mark.parametrize("content", [b"", b"not a database at all, but some text" * 100])
def test_another_file_is_never_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.db"
    path.write_bytes(content)
    with pytest.raises(FileExistsError, match="not a demo shop"):
        build_shop(path)
    assert path.read_bytes() == content


def test_processes_that_build_it_at_once_all_find_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(build_shop, [path] * 8))
    assert ask(path, "SELECT COUNT(*) FROM orders") == [(1280,)]
    assert [found.name for found in tmp_path.iterdir()] == ["shop.db"]
