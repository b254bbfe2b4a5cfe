"""A small door that stands on the plumbing alone, for its tests."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.domain import errors
from gateway.doors.http import Door, DoorConfig, Guard, download, fresh_id
from tests.fakes.door_client import ORIGIN

CONTENT = bytes(range(256)) * 400


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


def sample_door(config: DoorConfig | None = None) -> Guard:
    config = config or DoorConfig(public_url=ORIGIN, prefix="/x")
    door = Door(
        "sample", package="tests.unit.gateway.doors.http.sample", config=config, streams=("/x/stream",)
    )

    @door.routes.get("/")
    def first(request: Request) -> Response:
        if door.session(request) is None:
            answer = door.to("/")
            door.cookie.write(answer, fresh_id())
            return answer
        return door.page(request, "sample.html")

    @door.routes.post("/form")
    def form(request: Request) -> Response:
        return PlainTextResponse(door.form(request).text("said", at_most=100))

    @door.routes.post("/json")
    def json(body: _Body) -> Response:
        return JSONResponse({"number": body.number})

    @door.routes.post("/stream")
    async def stream(request: Request) -> Response:
        return PlainTextResponse(str(sum([len(chunk) async for chunk in request.stream()])))

    @door.routes.get("/address")
    def address(request: Request) -> Response:
        return PlainTextResponse(door.address(request))

    @door.routes.get("/fail/{name}")
    def fail(name: str) -> Response:
        if name == "fault":
            raise RuntimeError("Anna Karlsson 19480312-0007")
        raise getattr(errors, name)

    @door.routes.api_route("/file", methods=["GET", "HEAD"])
    def file(request: Request) -> Response:
        def source(start: int, length: int) -> Iterator[bytes]:
            for at in range(start, start + length, 1000):
                yield CONTENT[at : min(at + 1000, start + length)]

        return download(request, source, size_bytes=len(CONTENT), etag="v1", name="åäö «1».zip")

    @door.routes.post("/out")
    def out() -> Response:
        answer = door.to("/")
        door.cookie.clear(answer)
        return answer

    return door.asgi()
