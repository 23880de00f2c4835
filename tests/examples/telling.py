"""What the models say in each example: a question, and each agent's answers in their order."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.kit.scripted_provider import Call, Reply, ScriptedAnswer

OTHERS: Final = ""
"""Callers without instructions that begin with a name: selectors, orchestrators, societies."""

_NAME: Final = re.compile(r"You are (\w+)\. ")


@dataclass(frozen=True, slots=True)
class Story:
    """`questions` are asked one after the other, in one conversation."""

    questions: Sequence[str]
    said: Mapping[str, Sequence[ScriptedAnswer]]

    def told(self) -> Callable[[Mapping[str, Any]], Reply]:
        """For one provider: each model call gets the next answer of the agent that makes it."""
        left = {name: list(answers) for name, answers in self.said.items()}

        def reply(request: Mapping[str, Any]) -> Reply:
            found = _NAME.match(str(request["messages"][0]["content"]))
            return left[found[1] if found else OTHERS].pop(0)

        return reply


def words(text: str, *, before_s: float = 0.0) -> ScriptedAnswer:
    """One token a word."""
    return ScriptedAnswer(*re.findall(r"\S+\s*", text), before_s=before_s)


def _ledger(speaker: str, instruction: str, *, done: bool = False) -> ScriptedAnswer:
    entries: Mapping[str, object] = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": True,
        "next_speaker": speaker,
        "instruction_or_question": instruction,
    }
    return ScriptedAnswer(json.dumps({name: {"reason": "it is", "answer": answer} for name, answer in entries.items()}))


_EXPENSES: Final = [
    {"day": "Monday", "what": "train", "kind": "travel", "euros": 48.5},
    {"day": "Monday", "what": "hotel", "kind": "lodging", "euros": 120},
    {"day": "Tuesday", "what": "lunch", "kind": "food", "euros": 17},
]

STORIES: Final[Mapping[str, Story]] = {
    "round-robin": Story(
        ["A slogan for a bakery"],
        {
            "Writer": [words("Bread you can trust."), words("Still warm when you get home.")],
            "Editor": [words("It could be said of any bakery."), words("APPROVED")],
        },
    ),
    "selector": Story(
        ["Two seats for Hamlet, and a train home to Bath"],
        {
            "BoxOffice": [
                ScriptedAnswer(Call("seat_map", {"show": "Hamlet"})),
                words("Take row 4, seats 11 and 12: they are in the middle."),
            ],
            "Railway": [
                ScriptedAnswer(Call("train_times", {"station": "Bath"})),
                words("The play ends at 18:20, so take the train at 18:32."),
            ],
            "Planner": [words("- Hamlet, row 4, seats 11 and 12\n- the train to Bath at 18:32")],
            OTHERS: [ScriptedAnswer("BoxOffice"), ScriptedAnswer("Railway"), ScriptedAnswer("Planner")],
        },
    ),
    "swarm": Story(
        ["My teapot is broken, I want my money back", "A-17"],
        {
            "Reception": [ScriptedAnswer(Call("transfer_to_refunds"))],
            "Refunds": [
                ScriptedAnswer("I am ", "sorry. ", "What is ", "the order's ", "number?", Call("transfer_to_user")),
                ScriptedAnswer(Call("find_order", {"number": "A-17"})),
                ScriptedAnswer(Call("refund", {"number": "A-17"})),
                words("Your 24.90 EUR for the blue teapot are on their way."),
            ],
        },
    ),
    "graph": Story(
        ["A note on why the sea is salty"],
        {
            "Writer": [
                words("Rivers carry salt to the sea. It all came from meteorites."),
                words("Rivers wash salt out of rocks and carry it to the sea. The water evaporates, the salt stays."),
            ],
            "Facts": [words("The salt comes from rocks, not from meteorites."), words("The facts are right.")],
            "Style": [words("It reads well.", before_s=0.05), words("It reads well.", before_s=0.05)],
            "Editor": [words("REWRITE: where the salt comes from is wrong."), words("PUBLISH")],
            "Publisher": [
                words(
                    "**Why the sea is salty**\n\nRivers wash salt out of rocks and carry it to the sea. "
                    "The water evaporates, the salt stays."
                )
            ],
        },
    ),
    "magentic": Story(
        ["How much longer is the Danube than the Rhine?"],
        {
            OTHERS: [
                words("Facts to look up: the length of both rivers."),
                words("- Librarian looks up both rivers\n- Mathematician subtracts"),
                _ledger("Librarian", "Look up the Danube and the Rhine."),
                _ledger("Mathematician", "Subtract 1,233 from 2,850."),
                _ledger("Librarian", "Nothing", done=True),
                words("The Danube is 1,617 km longer than the Rhine."),
            ],
            "Librarian": [
                ScriptedAnswer(
                    Call("look_up", {"word": "Danube"}, call_id="call_1", index=0),
                    Call("look_up", {"word": "Rhine"}, call_id="call_2", index=1),
                ),
                words("The Danube is 2,850 km long, the Rhine 1,233 km."),
            ],
            "Mathematician": [words("2,850 - 1,233 = 1,617")],
        },
    ),
    "society": Story(
        ["Should we move the office to the countryside?"],
        {
            "Optimist": [words("Rents are a third, and people sleep better.")],
            "Sceptic": [words("Half of your team would have to drive for an hour.")],
            OTHERS: [words("Do not move yet. Rent a few desks there, and see who comes.")],
        },
    ),
    "person": Story(
        ["Invite the team to a picnic on Friday", "Say that there is cake", "OK"],
        {
            "Writer": [
                words("Dear all, on Friday at noon we meet in the park. Bring a blanket. See you there!"),
                words("Dear all, on Friday at noon we meet in the park. There is cake. See you there!"),
            ],
            "Clerk": [words("Dear all, on Friday at noon we meet in the park. There is cake. See you there!")],
        },
    ),
    "agents-as-tools": Story(
        ["A three-course dinner for four, with a toast"],
        {
            "Host": [
                ScriptedAnswer("I ask the cook. ", Call("Cook", {"task": "three courses for four"}, call_id="call_1")),
                ScriptedAnswer(Call("toast", {"task": "a toast for four friends"}, call_id="call_2")),
                words("Soup, trout and pears; and with the wine: to those who came, and stay!"),
            ],
            "Cook": [words("1. leek soup\n2. trout with almonds\n3. pears in red wine")],
            "Poet": [words("To those who came!")],
            "Friend": [words("To those who came, and stay!")],
        },
    ),
    "structured": Story(
        ["Train on Monday 48.50, the hotel 120, and lunch for 17 on Tuesday"],
        {"Bookkeeper": [ScriptedAnswer(json.dumps({"expenses": _EXPENSES}))]},
    ),
}
