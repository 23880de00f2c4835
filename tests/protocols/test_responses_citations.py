"""Which links of an answer are citations."""

from aiostream_server.protocols.responses.annotations import citations

SIGNED = "http://127.0.0.1:8000/v1/files/file-x1?expires=1798567255&signature=nYsRc"


def test_links_are_cited_where_they_stand() -> None:
    text = "See [the law](https://law.example/a)."
    (found,) = citations(text)
    assert (found["url"], found["title"]) == ("https://law.example/a", "the law")
    assert text[found["start_index"] : found["end_index"]] == "[the law](https://law.example/a)"


def test_a_signed_link_to_a_file_is_none() -> None:
    """Open WebUI sends cited addresses to a search engine, and whoever has this one can read the file."""
    assert citations(f"![Sales]({SIGNED}) and [shop.csv]({SIGNED})") == []
