"""Teams, and how they are drawn in 60 cells."""

from typing import Final, NamedTuple

from aiostream_server.teams.shape import AgentShape, Edge, TeamShape


class Drawn(NamedTuple):
    """The drawing has no spaces at the ends of its lines."""

    shape: TeamShape
    drawing: str


def _agents(*names: str) -> tuple[AgentShape, ...]:
    return tuple(AgentShape(name, "AssistantAgent") for name in names)


DIAMOND: Final = Drawn(
    TeamShape(
        "GraphFlow",
        "GraphFlow",
        "graph",
        _agents("A", "B", "C", "D"),
        (Edge("A", "B"), Edge("A", "C"), Edge("B", "D"), Edge("C", "D")),
        ("A",),
        {"D": "after B and C"},
    ),
    """\
GraphFlow · along the lines
          ╭────────────────╮
          │ A              │
          │ AssistantAgent │
          │ begins         │
          ╰────────┬───────╯
         ╭─────────┴─────────╮
         ▼                   ▼
╭────────────────╮  ╭────────────────╮
│ B              │  │ C              │
│ AssistantAgent │  │ AssistantAgent │
╰────────┬───────╯  ╰────────┬───────╯
         ╰─────────┬─────────╯
                   ▼
          ╭────────────────╮
          │ D              │
          │ AssistantAgent │
          │ after B and C  │
          ╰────────────────╯
ends when the last line is gone
""",
)

LOOP: Final = Drawn(
    TeamShape(
        "GraphFlow",
        "GraphFlow",
        "graph",
        _agents("Writer", "Editor", "Publisher"),
        (
            Edge("Writer", "Editor"),
            Edge("Editor", "Writer", 'if "REWRITE" is said'),
            Edge("Editor", "Publisher", 'if "PUBLISH" is said'),
        ),
        ("Writer",),
        None,
        ("after 12 turns",),
    ),
    """\
GraphFlow · along the lines
                  ╭──────────────────╮
                  ▼                  │
╭──────────────────────────────────╮ │
│ Writer                           │ │
│ AssistantAgent                   │ │
│ begins                           │ │
╰─────────────────┬────────────────╯ │
                  ▼                  │
╭──────────────────────────────────╮ │
│ Editor                           │ │
│ AssistantAgent                   │ │
│ → Writer if "REWRITE" is said    │ │
│ → Publisher if "PUBLISH" is said │ │
╰─────────────────┬────────────────╯ │
                  ├──────────────────╯
                  ▼
╭──────────────────────────────────╮
│ Publisher                        │
│ AssistantAgent                   │
╰──────────────────────────────────╯
ends after 12 turns
""",
)
