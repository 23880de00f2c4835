"""A queue that takes keys in turn, and the users of a key in turn: one with many entries holds up no other."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from aiostream_server.intake.principal import Owner

_Item = TypeVar("_Item")


class FairQueue(Generic[_Item]):
    """Entries of one owner leave in the order in which they came. Entries are hashable, and each is added once."""

    def __init__(self) -> None:
        self._keys: Final[dict[str | None, dict[str | None, dict[_Item, None]]]] = {}
        """By key id and user id. Who is first in each dictionary is next."""
        self._counts: Final[dict[str | None, int]] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, owner: Owner, item: _Item) -> None:
        self._keys.setdefault(owner.key_id, {}).setdefault(owner.user_id, {})[item] = None
        self._counts[owner.key_id] = self._counts.get(owner.key_id, 0) + 1

    def discard(self, owner: Owner, item: _Item) -> None:
        """Remove an entry, if it is there."""
        users = self._keys.get(owner.key_id, {})
        items = users.get(owner.user_id, {})
        if item not in items:
            return
        del items[item]
        self._counts[owner.key_id] -= 1
        if not items:
            del users[owner.user_id]
        if not users:
            del self._keys[owner.key_id], self._counts[owner.key_id]

    def take(self, may: Callable[[Owner], bool] = lambda _: True) -> tuple[Owner, _Item] | None:
        """Remove the next entry of an owner that `may` leave; None if there is none. The others are before it then."""
        for key_id, users in self._keys.items():
            for user_id, items in users.items():
                if may(owner := Owner(key_id, user_id)):
                    item = next(iter(items))
                    self.discard(owner, item)
                    if user_id in users:
                        users[user_id] = users.pop(user_id)
                    if key_id in self._keys:
                        self._keys[key_id] = self._keys.pop(key_id)
                    return owner, item
        return None

    def in_order(self) -> Iterator[_Item]:
        """All entries, in the order in which they leave if nothing is added and every owner may leave."""
        keys = deque(deque(deque(items) for items in users.values()) for users in self._keys.values())
        while keys:
            users = keys.popleft()
            items = users.popleft()
            yield items.popleft()
            if items:
                users.append(items)
            if users:
                keys.append(users)

    def longest(self) -> tuple[str | None, int]:
        """The key with the most entries, and how many. The queue must not be empty."""
        key_id = max(self._counts, key=self._counts.__getitem__)
        return key_id, self._counts[key_id]

    def count(self, key_id: str | None) -> int:
        """How many entries the key has."""
        return self._counts.get(key_id, 0)

    def ahead_of(self, key_id: str | None) -> int:
        """How many entries leave before the next one that the key adds. Its users are not told apart."""
        turns = self._counts.get(key_id, 0) + 1
        return sum(min(count, turns) for count in self._counts.values())

    def take_newest(self, key_id: str | None) -> _Item:
        """Remove the key's last entry: the newest one of its user with the most. The key must have one."""
        users = self._keys[key_id]
        user_id = max(users, key=lambda user: len(users[user]))
        item = next(reversed(users[user_id]))
        self.discard(Owner(key_id, user_id), item)
        return item

    def clear(self) -> list[_Item]:
        """Remove all entries, and return them."""
        items = [item for users in self._keys.values() for entries in users.values() for item in entries]
        self._keys.clear()
        self._counts.clear()
        return items
