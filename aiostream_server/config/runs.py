"""`[runs]`: where runs live, in the memory of one process or in a Redis that several processes and machines share."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from aiostream_server.config.pointers import SecretFile, VariableName, WithSecret, surroundings
from aiostream_server.config.redis_url import RedisUrl, parse_redis_url

OnOutage = Literal["serve", "refuse"]


def _without_password(url: str) -> str:
    if parse_redis_url(url).has_password:
        raise ValueError("a password does not belong here: name a variable or a file that holds the URL")
    return url


UrlWithoutPassword = Annotated[str, AfterValidator(_without_password)]


class RunsConfig(WithSecret):
    """`[runs]`. A URL with a password is named by a variable or a file."""

    key_prefix = "redis_url"
    store: Literal["memory", "redis"] = "memory"
    redis_url_env: VariableName | None = None
    redis_url_file: SecretFile | None = None
    redis_url: UrlWithoutPassword | None = Field(default=None, repr=False)
    prefix: str = Field(
        default="aiostream", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="the beginning of every key in Redis"
    )
    on_outage: OnOutage = "serve"
    max_restarts: int = Field(
        default=1,
        ge=0,
        le=10,
        description='of one run, where its team has restart = "turn": it may be why processes fail',
    )
    lease_s: float = Field(default=2.0, ge=0.5, le=60.0, description="a node that is silent for so long has failed")

    @model_validator(mode="after")
    def _one_url(self, info: ValidationInfo) -> Self:
        around = surroundings(info)
        if self.secret is not None and around is not None and around.needs_secrets:
            parse_redis_url(self.secret.get_secret_value())
        given = sum(value is not None for value in (self.redis_url, self.redis_url_env, self.redis_url_file))
        if self.store == "redis" and given != 1:
            raise ValueError('store = "redis" needs exactly one of redis_url, redis_url_env and redis_url_file')
        return self

    @property
    def is_shared(self) -> bool:
        """Whether other processes find the runs of this one."""
        return self.store == "redis"

    @property
    def resolved_url(self) -> RedisUrl | None:
        """The URL with its password; None without Redis."""
        url = self.redis_url if self.secret is None else self.secret.get_secret_value()
        return None if url is None else parse_redis_url(url)
