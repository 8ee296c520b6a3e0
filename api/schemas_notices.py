"""The JSON of what people want to hear of, and where."""

from typing import Annotated

from pydantic import BaseModel, Field

from api.schemas import Body, ShortName

_Kind = Annotated[str, Field(max_length=32)]


class ChannelOut(BaseModel):
    """A channel that somebody may choose; its address is nobody's to see."""

    name: str
    title: str
    to_person: bool


class NewsKindOut(BaseModel):
    """A kind of news, and the channels on which somebody hears of it."""

    kind: str
    title: str
    channels: list[str]


class NoticeChoicesIn(Body):
    """What somebody chooses; kinds that are left out follow the lab again."""

    choices: dict[_Kind, Annotated[list[ShortName], Field(max_length=50)]] = Field(
        max_length=50, description="Names of channels by kind of news; none for nowhere."
    )


class NoticeChoicesOut(BaseModel):
    """What holds for somebody; `etag` is what a change has to carry in If-Match."""

    account: str
    kinds: list[NewsKindOut]
    channels: list[ChannelOut]
    etag: str
