"""A door: one guarded FastAPI app with its own prefix, cookie, languages and pages; it knows no case and no journey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRouter
from starlette.datastructures import URL, Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from gateway.domain.errors import ConsiliumError
from gateway.doors.http.addresses import visitor_address
from gateway.doors.http.config import DoorConfig
from gateway.doors.http.cookies import DoorCookie
from gateway.doors.http.forms import Form, read_form
from gateway.doors.http.guard import Guard, fault
from gateway.doors.http.i18n import LANGUAGE_COOKIE, Tongue, Tongues
from gateway.doors.http.origin import csrf_token
from gateway.doors.http.pages import Pages
from gateway.doors.http.problems import PLAIN_WORDS, Problem, Refused, plain, problem_of, problem_of_store
from gateway.doors.http.static_files import StaticFiles
from storage import StorageError

_SHARED = "gateway.doors.http"
_YEAR_S = 365 * 24 * 3600


class Door:
    """What a door's module builds its routes on; see `gateway.doors.http` for how.

    ``package`` names the door's own package: its folders ``templates``, ``static`` and ``locale`` are laid over the
    shared ones. ``streams`` are path prefixes whose bodies the handler reads itself, part by part. ``public`` doors tell
    an error of the domain in the plain words of its status: the domain's own sentences are written for staff. A door for
    ``programs`` has no cookie that counts (see `Guard`), and no page.
    """

    def __init__(
        self,
        name: str,
        *,
        package: str,
        config: DoorConfig,
        streams: tuple[str, ...] = (),
        public: bool = False,
        programs: bool = False,
    ) -> None:
        self.name = name
        self.config = config
        self.cookie = DoorCookie(door=name, secure=config.is_https)
        self.tongues = Tongues(
            _folders(package, "locale"),
            codes=config.languages,
            default=config.default_language,
            timezone=config.timezone,
        )
        self.static = StaticFiles(_folders(package, "static"), prefix=config.prefix)
        self.pages = Pages(
            _folders(package, "templates"),
            tongues=self.tongues,
            static=self.static,
            values={"prefix": config.prefix, "door": name},
        )
        self.routes = APIRouter(prefix=config.prefix, redirect_slashes=False)
        # Hears of each one that is told, and may give what is out and the next step in its own visitors' words.
        self.on_store_error: Callable[[StorageError], tuple[str, str] | None] | None = None
        self._streams = streams
        self._public = public
        self._programs = programs

    def get(self, path: str, call: Callable[..., Any]) -> None:
        """Add a route that is looked at: GET, and HEAD beside it (once in the schema)."""
        self.routes.add_api_route(path, call, methods=["GET"])
        self.routes.add_api_route(path, call, methods=["HEAD"], include_in_schema=False)

    def post(self, path: str, call: Callable[..., Any]) -> None:
        """Add a route that changes something."""
        self.routes.add_api_route(path, call, methods=["POST"])

    def asgi(self) -> Guard:
        """Return the finished app: call it once, after the last route."""
        app = FastAPI(
            title=f"Consilium, the {self.name}'s door",
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
        )
        self.routes.add_api_route(
            "/static/{digest}/{name:path}",
            self.static.answer,
            methods=["GET", "HEAD"],
            include_in_schema=False,
        )
        app.include_router(self.routes)
        app.add_api_route(
            self.config.prefix, self._to_first_page, methods=["GET", "HEAD"], include_in_schema=False
        )
        app.add_exception_handler(ConsiliumError, self._refused_by_domain)
        app.add_exception_handler(StorageError, self._refused_by_store)
        app.add_exception_handler(Refused, self._refused_by_door)
        app.add_exception_handler(HTTPException, self._refused_by_framework)
        app.add_exception_handler(RequestValidationError, self._refused_by_schema)
        app.add_exception_handler(Exception, self._fault)
        return Guard(
            _Quiet(app),
            config=self.config,
            respond=self.respond,
            streams=self._streams,
            programs=self._programs,
        )

    # what a handler uses

    def page(self, request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Render a template for this visitor; ``form_token`` in it is bound to the door's cookie."""
        return self._page(request.scope, template, status=status, **values)

    def to(self, path: str) -> RedirectResponse:
        """Send the browser on with a GET (303); ``path`` lies below the door's prefix: ``door.to("/cases")``."""
        return RedirectResponse(f"{self.config.prefix}{path}", status_code=303)

    def session(self, request: Request) -> str | None:
        """Return the value of the door's cookie; whether it still counts is for the service to say."""
        return self.cookie.read(request.cookies)

    def form(self, request: Request) -> Form:
        """Return this request's form, its token checked."""
        return read_form(request, self.session(request))

    def address(self, request: Request) -> str:
        """Return where the visitor comes from, for limits and for the audit."""
        return visitor_address(request, trusted=self.config.trusted_proxies)

    def tongue(self, request: Request) -> Tongue:
        """Return the visitor's language."""
        return self._tongue(request.scope)

    def respond(self, scope: Scope, problem: Problem) -> Response:
        """Say a problem in the visitor's language: a page to a browser that asked for one, else problem+json (RFC 9457)."""
        tongue = self._tongue(scope)
        headers = dict(problem.headers)
        if _wants_page(scope) and not self._programs:
            response: Response = self._page(scope, "error.html", status=problem.status, problem=problem)
        else:
            body: dict[str, Any] = {
                "type": f"urn:consilium:problem:{problem.code}",
                "title": tongue.gettext(problem.title),
                "status": problem.status,
                "code": problem.code,
                **problem.more,
            }
            if problem.detail:
                body["detail"] = tongue.gettext(problem.detail)
            if problem.step:
                body["next_step"] = tongue.gettext(problem.step)
            response = JSONResponse(body, status_code=problem.status, media_type="application/problem+json")
        response.headers.update(headers)
        return response

    # how the framework's ways of failing become problems

    def _to_first_page(self) -> Response:
        return self.to("/")

    def _refused_by_store(self, request: Request, error: Exception) -> Response:
        known = cast("StorageError", error)
        problem = problem_of_store(known, is_reading=request.method in {"GET", "HEAD"})
        if self.on_store_error is not None and (said := self.on_store_error(known)):
            problem = replace(problem, title=said[0], detail=problem.step, step=said[1])
        return self.respond(request.scope, problem)

    def _refused_by_domain(self, request: Request, error: Exception) -> Response:
        problem = problem_of(cast("ConsiliumError", error))
        if self._public:
            said = plain(problem.status)
            problem = replace(problem, title=said.title, detail="", step=said.step)
        return self.respond(request.scope, problem)

    def _refused_by_door(self, request: Request, error: Exception) -> Response:
        return self.respond(request.scope, cast("Refused", error).problem)

    def _refused_by_framework(self, request: Request, error: Exception) -> Response:
        known = cast("HTTPException", error)
        status = known.status_code if known.status_code in PLAIN_WORDS else 400
        return self.respond(request.scope, plain(status, headers=dict(known.headers or {})))

    def _refused_by_schema(self, request: Request, error: Exception) -> Response:
        """Name the fields, never their values: those may be a patient's."""
        fields = [
            ".".join(str(step) for step in one["loc"][1:])
            for one in cast("RequestValidationError", error).errors()
        ]
        return self.respond(request.scope, plain(422, fields=fields[:20]))

    def _fault(self, request: Request, error: Exception) -> Response:
        return self.respond(request.scope, fault(error))

    def _tongue(self, scope: Scope) -> Tongue:
        headers = Headers(scope=scope)
        return self.tongues.pick(
            asked=_asked_language(scope),
            cookies=cookie_parser(headers.get("cookie", "")),
            accept=headers.get("accept-language", ""),
        )

    def _page(self, scope: Scope, template: str, *, status: int, **values: object) -> HTMLResponse:
        session = self.cookie.read(cookie_parser(Headers(scope=scope).get("cookie", "")))
        tongue = self._tongue(scope)
        text = self.pages.render(
            template,
            tongue=tongue,
            nonce=scope["state"]["nonce"],
            here=URL(scope=scope).path,
            form_token=csrf_token(session) if session else "",
            **values,
        )
        response = HTMLResponse(text, status_code=status, headers={"Content-Language": tongue.code})
        if self.tongues.offers(_asked_language(scope)):
            response.set_cookie(
                LANGUAGE_COOKIE,
                tongue.code,
                max_age=_YEAR_S,
                path="/",
                secure=self.config.is_https,
                httponly=True,
                samesite="strict",
            )
        return response


class _Quiet:
    """Starlette answers an unexpected error and then raises it again for the server's log, with its text; the answer is enough."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        ended = False

        async def watched(message: Any) -> None:
            nonlocal ended
            await send(message)
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            if not ended:
                raise


def _folders(package: str, name: str) -> list[Path]:
    return [Path(str(resources.files(one))) / name for one in dict.fromkeys((package, _SHARED))]


def _asked_language(scope: Scope) -> str | None:
    return QueryParams(scope["query_string"]).get("lang")


def _wants_page(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "text/html" in headers.get("accept", "") and headers.get("sec-fetch-dest", "document") in {
        "document",
        "iframe",
    }
