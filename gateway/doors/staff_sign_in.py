"""Signing in with e-mail address, password and a code of the app, and out again: the same for every door of the staff."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import ForbiddenError, SignInError, TooManyError
from gateway.domain.people import Role
from gateway.doors.http import Door, fresh_id
from gateway.journeys.prove_identity import end_session
from gateway.journeys.sign_in import SignInRefusedError, sign_in
from gateway.ports import House


class SignInPages:
    """The only pages of a staff door that are shown to strangers.

    ``who`` returns the signed-in person of a request or raises; ``roles`` are those that the door admits.
    """

    def __init__(
        self, door: Door, house: House, *, roles: tuple[Role, ...], who: Callable[[Request], object]
    ) -> None:
        self.door, self.house, self.roles, self.who = door, house, roles, who
        routes = door.routes
        routes.add_api_route("/sign-in", self.ask, methods=["GET", "HEAD"])
        routes.add_api_route("/sign-in", self.sign_in, methods=["POST"])
        routes.add_api_route("/sign-out", self.sign_out, methods=["POST"])

    def ask(self, request: Request) -> Response:
        """Show the form. A browser without a cookie gets one first: the form's token hangs on it."""
        try:
            self.who(request)
        except (SignInError, ForbiddenError):
            pass
        else:
            return self.door.to("/")
        if self.door.session(request) is None:
            response: Response = self.door.to("/sign-in")
            self.door.cookie.write(response, fresh_id())
            return response
        return self._form(request)

    def sign_in(self, request: Request) -> Response:
        """Exchange the three for a session under a new id (rotation, P12)."""
        form, house = self.door.form(request), self.house
        email = form.text("email", at_most=320)
        try:
            token, _ = sign_in(
                email=email,
                password=form.get("password", "")[:1024],
                code=form.text("code", at_most=20),
                roles=self.roles,
                address=self.door.address(request),
                records=house.records,
                store=house.store,
                clock=house.clock,
                random=house.random,
                policy=house.policy,
            )
        except SignInRefusedError:
            return self._form(request, status=401, problem="refused", email=email)
        except TooManyError as error:
            response = self._form(
                request,
                status=429,
                problem="wait",
                email=email,
                wait_minutes=-(-error.retry_after_s // 60),
            )
            response.headers["Retry-After"] = str(error.retry_after_s)
            return response
        response = self.door.to("/")
        self.door.cookie.write(response, token)
        return response

    def sign_out(self, request: Request) -> Response:
        """End the session here and there."""
        self.door.form(request)
        house = self.house
        token = self.door.session(request) or ""
        end_session(token, address=self.door.address(request), records=house.records, clock=house.clock)
        response = self.door.to("/sign-in")
        self.door.cookie.clear(response)
        return response

    def _form(
        self,
        request: Request,
        *,
        status: int = 200,
        problem: str = "",
        email: str = "",
        wait_minutes: int = 0,
    ) -> Response:
        return self.door.page(
            request,
            "sign_in.html",
            status=status,
            problem=problem,
            email=email,
            wait_minutes=wait_minutes,
        )
