"""Tables that describe how questions are taken: `[routing]`, `[open_webui]`, `[auxiliary]`."""

from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    SecretStr,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aiostream_server.config.choices import Presentation
from aiostream_server.config.pointers import (
    ModelName,
    SecretFile,
    VariableName,
    WithSecret,
    check_name,
    check_team,
    surroundings,
)
from aiostream_server.config.table import ConfigTable, HeaderName, Pattern, TeamId
from aiostream_server.config.teams import BUILT_IN_TEAM_IDS

_SHORTEST_SECRET_BYTES = 32


class RoutingConfig(ConfigTable):
    """`[routing]`: which team a question to `auto` goes to."""

    strategy: Literal["rules", "model", "rules-then-model"] = "rules"
    model: str = Field(default="default", validate_default=True, description="the [models.*] table that classifies")
    fallback: TeamId | None = Field(default=None, description="team when nothing is sure; else `general`, or the first")
    threshold: float = Field(default=0.6, ge=0, le=1, description="surer than this needs no model")
    timeout_s: PositiveFloat = 10.0

    @field_validator("model")
    @classmethod
    def _known_model(cls, model: str, info: ValidationInfo) -> str:
        needs_one = model != "default" or info.data.get("strategy") != "rules"
        return check_name("models", model, info) if needs_one else model

    @field_validator("fallback")
    @classmethod
    def _known_team(cls, team: str | None, info: ValidationInfo) -> str | None:
        around = surroundings(info)
        if team and around and around.teams is not None and not around.has_other_teams:
            check_team(team, around.teams or BUILT_IN_TEAM_IDS)
        return team


class OpenWebUIConfig(WithSecret):
    """`[open_webui]`: what is done for Open WebUI only, recognised by its headers or by the key's setting."""

    key_prefix = "user_token_secret"
    coalesce_ms: NonNegativeFloat = 30.0
    remote_images: bool = False
    artifacts: bool = False
    variants: Annotated[tuple[Presentation, ...], Strict(False)] = Field(
        default=(), description="presentations in which each model is listed once more, as `data:reasoning`"
    )
    chat_header: HeaderName | None = None
    task_header: HeaderName = "X-OpenWebUI-Task"
    user_token_secret_env: VariableName | None = None
    user_token_secret_file: SecretFile | None = None

    @model_validator(mode="after")
    def _warn_of_short_secret(self, info: ValidationInfo) -> Self:
        around, secret = surroundings(info), self.secret
        if around and secret and len(secret.get_secret_value().encode()) < _SHORTEST_SECRET_BYTES:
            around.notes.append("[open_webui] the user token secret is shorter than 32 bytes: it may be guessed")
        return self

    @property
    def user_token_secret(self) -> SecretStr | None:
        """Open WebUI's own FORWARD_USER_INFO_HEADER_JWT_SECRET; None if none is configured."""
        return self.secret


class AuxiliaryPattern(ConfigTable):
    """An entry of `[auxiliary] patterns`: where a prompt stands, what it looks like, and how it is answered."""

    pattern: Pattern
    place: Literal["alone", "last", "system"] = Field(
        default="alone",
        description="the only user message and its system messages, the last message behind others, or system messages",
    )
    answer: str = Field(default="", description='what goes around the answer, which takes the place of "{}"')

    @field_validator("answer")
    @classmethod
    def _check_answer(cls, answer: str) -> str:
        if answer and "{}" not in answer:
            raise ValueError('has no "{}", the place of the answer')
        return answer


def _as_entry(value: object) -> object:
    return {"pattern": value} if isinstance(value, str) else value


class AuxiliaryConfig(ConfigTable):
    """`[auxiliary]`: titles, tags and the like, which chat clients ask for beside the conversation."""

    model: ModelName | None = Field(
        default=None, description="the [models.*] table that answers; without, no model does"
    )
    timeout_s: PositiveFloat = 5.0
    patterns: Annotated[
        tuple[Annotated[AuxiliaryPattern, BeforeValidator(_as_entry)], ...],
        Strict(False),
        Field(description="each a regular expression, or a table of `pattern`, `place` and `answer`"),
    ] = ()
