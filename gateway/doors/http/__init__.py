"""Shared plumbing of the web doors: guard, cookies, forms, pages, languages, downloads; it knows no case and no journey.

How a door is built on it
-------------------------
::

    from starlette.requests import Request
    from starlette.responses import Response
    from gateway.doors.http import Door, DoorConfig, Guard

    class DeskPages:
        def __init__(self, door: Door, service: DeskService) -> None:
            self.door, self.service = door, service
            door.get("/cases", self.cases)                         # and HEAD
            door.post("/cases/{ref}/note", self.note)              # anything else: door.routes.add_api_route

        def who(self, request: Request) -> DeskView:
            view = self.service.session(self.door.session(request) or "")
            if view is None:
                raise SignInError                                  # domain errors become 4xx by one table
            return view

        def cases(self, request: Request) -> Response:             # plain def: runs in the thread pool
            who = self.who(request)
            return self.door.page(request, "cases.html", who=who, cases=self.service.cases(who.id))

        def note(self, request: Request, ref: str) -> Response:
            who, form = self.who(request), self.door.form(request) # the form's token is checked
            self.service.note(who.id, ref, form.text("note", at_most=2000))
            return self.door.to(f"/cases/{ref}")                   # 303, so that a reload sends nothing twice

    def create_app(service: DeskService, config: DoorConfig) -> Guard:
        door = Door("desk", package="gateway.doors.desk", config=config)   # config.prefix == "/desk"
        DeskPages(door, service)
        return door.asgi()                                         # last: wraps everything in the guard

- **Folders** of the door's package, laid over the shared ones: ``templates/`` (Jinja; escape is on, unknown names are
  errors), ``static/`` (``static("desk.css")`` gives a hashed address), ``locale/sv.po``. English text in the code and the
  templates *is* the message id: ``{% trans %}Send{% endtrans %}``, ``_("Send")`` in templates; ``N_("Send")`` in Python, ``{{ text | said }}`` for a text in a variable.
  ``tests/unit/gateway/doors/http/test_languages.py`` finds every door and fails on a sentence without Swedish.
- **Templates** extend ``shell.html`` (override it in the door to fill the blocks ``nav`` and ``who``; it extends
  ``base.html``). Blocks: ``title``, ``main``, ``scripts``. Components: ``{% import "components.html" as ui with context %}``
  gives ``ui.alert ui.badge ui.card ui.steps ui.progress ui.table ui.timeline ui.field ui.select ui.area ui.button ui.form
  ui.facts ui.empty``; each is shown in ``components.html`` with its arguments. One style sheet: ``consilium.css``.
- **Scripts**: files in ``static/`` only, with ``{{ ui.script("desk.js") }}`` (adds the nonce). The content policy forbids
  inline script and style (no ``onclick=``, no ``style=``), foreign addresses, and making HTML from strings: use
  ``textContent`` and ``document.createElement``. Pass data in ``data-`` attributes or ``{{ ui.data("id", value) }}`` (JSON).
- **Forms**: ``{% call ui.form(prefix ~ "/cases/" ~ ref ~ "/note") %}…{% endcall %}`` adds the token;
  ``door.form(request)`` checks it. The token hangs on the door's cookie, so a page with a form for
  visitors without a session (sign in) first gives them one: ``door.cookie.write(response, fresh_id())`` on the GET when
  ``door.session(request)`` is None, answered by ``door.to(same path)``, and **another id after sign-in** (rotation, P12).
  Bodies are urlencoded or JSON, at most ``config.max_body_bytes``; multipart is refused (F13). JSON handlers take a pydantic model
  with ``extra="forbid"``; its errors name fields, never values. Programs without a browser send ``X-Consilium: 1`` or JSON.
- **Cookie**: one per door, ``door.cookie.write(response, session_id)`` / ``door.cookie.clear(response)``; the value is a
  random id of 16 to 256 URL-safe signs, checked by the service *on every request* (P17). ``door.address(request)`` is the visitor's.
- **Errors**: raise from ``gateway.domain.errors`` (table: `problems.STATUS_OF`) or ``Refused(plain(404))``. Browsers get a page
  that says what to do next, programs get problem+json with ``code`` and ``next_step``. Their texts are translated when the
  catalog knows them. Never put a person's data into an error.
- **Downloads**: ``download(request, source, size_bytes=…, etag=digest, name="case.zip")`` where ``source(start, length)``
  yields chunks (blocking is fine); gives ETag, If-Range, one Range, 206/416, HEAD, attachment names. Register it with
  ``door.get``. Commit the audit event before returning.
- **Tests**: ``tests.fakes.door_client.Browser(app)`` keeps cookies and sends a browser's headers without a socket.
"""

from gateway.doors.http.addresses import visitor_address
from gateway.doors.http.config import DoorConfig
from gateway.doors.http.cookies import DoorCookie, fresh_id
from gateway.doors.http.door import Door
from gateway.doors.http.downloads import attachment, download, harmless_name, in_thread
from gateway.doors.http.forms import Form
from gateway.doors.http.guard import Guard
from gateway.doors.http.house import House
from gateway.doors.http.i18n import Tongue
from gateway.doors.http.origin import csrf_token
from gateway.doors.http.problems import N_, Problem, Refused, plain
from gateway.doors.http.serve import server, server_options

__all__ = [
    "N_",
    "Door",
    "DoorConfig",
    "DoorCookie",
    "Form",
    "Guard",
    "House",
    "Problem",
    "Refused",
    "Tongue",
    "attachment",
    "csrf_token",
    "download",
    "fresh_id",
    "harmless_name",
    "in_thread",
    "plain",
    "server",
    "server_options",
    "visitor_address",
]
