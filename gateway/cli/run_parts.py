"""``consilium up`` and the four parts that it starts: the same commands that a cluster runs one by one."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Annotated

import typer

from gateway.adapters import kernel
from gateway.adapters.sandbox import ForkingSandbox
from gateway.cli.console import note, spoken_errors
from gateway.cli.frame import house_of, log_for_a_part, settings_of
from gateway.cli.part import announce_ready
from gateway.cli.supervisor import print_ready, refuse_busy, run_tree
from gateway.compose import compose, refuse_unsafe
from gateway.compose.doors import dicom_node, doorway, job_handlers
from gateway.compose.duties import duties
from gateway.compose.s3 import self_test
from gateway.domain.errors import ConsiliumError, UnavailableError
from gateway.settings import Settings, host_and_port

STOP_S = 20.0
WARM_AFTER_S = 5.0
TLS_MARK = "tls:"  # before the address that the node announces for TLS
HttpOption = Annotated[str, typer.Option("--http", metavar="HOST:PORT", help="Where the web doors listen.")]
DicomOption = Annotated[
    str, typer.Option("--dicom", metavar="HOST:PORT", help="Where the DICOM node listens.")
]
TlsOption = Annotated[
    str,
    typer.Option("--dicom-tls", metavar="HOST:PORT", help="Where it listens by TLS; the usual port is 2762."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("up", help="Start everything and keep it running; prints «ready …» when all parts answer.")(
        up
    )
    app.command("web", help="Run the web doors alone.")(web)
    app.command("dicom", help="Run the DICOM node alone.")(dicom)
    app.command("worker", help="Run a worker alone.")(worker)
    app.command("scheduler", help="Run the scheduler alone.")(scheduler)


def up(ctx: typer.Context, http: HttpOption = "", dicom: DicomOption = "", dicom_tls: TlsOption = "") -> None:
    """Supervise the four parts of one home."""
    log_for_a_part()
    with spoken_errors(ctx), ExitStack() as held:
        settings = settings_of(ctx, http=http, dicom=dicom, dicom_tls=dicom_tls)
        refuse_busy(settings.home)
        web_at = held.enter_context(_reserved(settings.http, "--http"))
        node_at: list[str] = []
        for text, option in ((settings.dicom, "--dicom"), (settings.dicom_tls, "--dicom-tls")):
            if text:
                node_at += [option, held.enter_context(_reserved(text, option))]
                # the other parts are told too: the desk prints for peers where the node listens
                os.environ["CONSILIUM_" + option[2:].replace("-", "_").upper()] = node_at[-1]
        with closing(compose(settings)) as parts:  # sets a new home up before four processes find it
            self_test(parts)  # D15
            if settings.dicom_tls or not settings.dicom:
                dicom_node(parts)  # says now what is wrong with the certificate, or that there is no address
        me = [sys.executable, "-m", "gateway.cli.main", "--home", str(settings.home)]
        commands = {
            "web": [*me, "web", "--http", web_at],
            "dicom": [*me, "dicom", *node_at],
            "worker": [*me, "worker"],
            "scheduler": [*me, "scheduler"],
        }
        note(f"home {settings.home} · mode {settings.mode} · AE title {settings.ae_title}")
        code = run_tree(
            commands, home=settings.home, on_ready=lambda found: print_ready(_told(found, settings))
        )
    raise typer.Exit(code)


def web(ctx: typer.Context, http: HttpOption = "") -> None:
    """Serve the patient's, the desk's and the reviewers' pages until SIGTERM."""
    from gateway.doors.http import server

    log_for_a_part()
    with ExitStack() as stack:
        with spoken_errors(ctx):  # bound first: the doors answer only to the address that they were told
            host, port = host_and_port(settings_of(ctx, http=http).http, what="--http")
            listener = stack.enter_context(_listener(host, port))
        bound = _written(host, listener.getsockname()[1])
        parts = stack.enter_context(house_of(ctx, http=bound))
        uvicorn = server(doorway(parts), host=host, port=port)
        announce = threading.Thread(target=_when_started, args=(uvicorn, f"http://{bound}"), daemon=True)
        announce.start()
        # The first picture that a page shows should not wait for the parsers, nor the other parts' start for them.
        warm = threading.Timer(WARM_AFTER_S, _warm, args=(parts.sandbox,))
        warm.daemon = True
        warm.start()
        uvicorn.run(sockets=[listener])


def _warm(sandbox: ForkingSandbox) -> None:
    with suppress(ConsiliumError):  # said to whoever asks for a picture
        sandbox.start()


def dicom(ctx: typer.Context, dicom: DicomOption = "", dicom_tls: TlsOption = "") -> None:
    """Receive associations until SIGTERM."""
    log_for_a_part()
    with house_of(ctx, dicom=dicom, dicom_tls=dicom_tls) as parts:
        stop = _stopped_by_signal()
        node = dicom_node(parts)
        bound = node.start()
        schemes = ([""] if parts.settings.dicom else []) + [TLS_MARK]
        announce_ready(",".join(mark + _written(*where) for mark, where in zip(schemes, bound, strict=False)))
        stop.wait()
        node.stop(timeout_s=STOP_S)


def worker(ctx: typer.Context) -> None:
    """Do owed work until SIGTERM; over Celery where the doorbell is one."""
    log_for_a_part()
    settings = None
    with spoken_errors(ctx):
        settings = settings_of(ctx)
        refuse_unsafe(settings)
    if settings is not None and settings.doorbell.startswith("celery+"):
        _celery_worker(ctx, settings)
        return
    with house_of(ctx) as parts:
        from gateway.adapters.doorbell_local import LocalBell
        from gateway.doors.jobs.local import LocalWorkers
        from gateway.doors.jobs.runner import Runner

        stop = _stopped_by_signal()
        parts.sandbox.start()
        house = parts.house
        with (
            LocalBell(parts.settings.home) as bell,
            Runner(
                jobs=house.jobs, handlers=job_handlers(parts), clock=house.clock, owner=_owner()
            ) as runner,
        ):
            workers = LocalWorkers(
                runner=runner, jobs=house.jobs, clock=house.clock, bell=bell, count=parts.settings.workers
            )
            announce_ready(f"{parts.settings.workers}")
            workers.run(stop, grace_s=STOP_S)


def scheduler(ctx: typer.Context) -> None:
    """Ring what is overdue and do what the clock asks for, until SIGTERM."""
    from gateway.doors.jobs.schedule import Scheduler

    log_for_a_part()
    with house_of(ctx) as parts:
        stop = _stopped_by_signal()
        house = parts.house
        clockwork = Scheduler(
            jobs=house.jobs, doorbell=parts.doorbell, clock=house.clock, duties=duties(parts)
        )
        announce_ready()
        clockwork.run(stop)
        with suppress(ConsiliumError):  # a last head for the witness; the next start signs one too
            for duty in duties(parts):
                duty.perform()


def _celery_worker(ctx: typer.Context, settings: Settings) -> None:
    from gateway.adapters.doorbell_celery import RING_TASK, celery_connection
    from gateway.doors.jobs.celery_app import serve
    from gateway.doors.jobs.runner import Runner

    def make_runner() -> Runner:
        parts = compose(settings)
        parts.sandbox.start()
        return Runner(
            jobs=parts.house.jobs, handlers=job_handlers(parts), clock=parts.house.clock, owner=_owner()
        )

    own_pid = os.getpid()

    def told_ready() -> None:
        announce_ready(f"celery {settings.workers}")

    with spoken_errors(ctx):
        try:
            app = celery_connection(settings.doorbell)
        except ValueError as error:
            raise UnavailableError(str(error)) from error
        code = serve(
            app,
            task_name=RING_TASK,
            make_runner=make_runner,
            concurrency=settings.workers,
            in_each_child=lambda: kernel.die_with_parent(own_pid),
            on_ready=told_ready,
        )
    raise typer.Exit(code)


def _owner() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _stopped_by_signal() -> threading.Event:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    return stop


def _listener(host: str, port: int, option: str = "--http") -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise UnavailableError(
            f"{host}:{port} cannot be listened on ({error.strerror})",
            next_step=f"Choose another address with {option} HOST:PORT.",
        ) from error
    listener.set_inheritable(False)
    return listener


@contextmanager
def _reserved(text: str, option: str) -> Iterator[str]:
    """Hold an address without listening on it, so that a part that is started again finds it free, port 0's choice too.

    What is taken is said at once: it would else be a child that dies again and again. With SO_REUSEADDR on both sockets
    the part may bind what is held here, and nobody else is given the port (socket(7)).
    """
    host, port = host_and_port(text, what=option)
    _listener(host, port, option).close()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        yield _written(host, held.getsockname()[1])


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _when_started(uvicorn: object, address: str) -> None:
    waiting = threading.Event()
    while not getattr(uvicorn, "started", False):
        waiting.wait(0.02)
    announce_ready(address)


def node_addresses(detail: str) -> dict[str, str]:
    """Take apart what the node announced: ``dicom`` and ``dicom_tls``, whichever it has."""
    return {
        "dicom_tls" if at.startswith(TLS_MARK) else "dicom": at.removeprefix(TLS_MARK)
        for at in detail.split(",")
        if at
    }


def _told(found: object, settings: Settings) -> dict[str, str]:
    """Return the addresses for the «ready» line: where people go and where PACS send."""
    addresses = dict(found) if isinstance(found, dict) else {}
    web_at = addresses.get("web") or f"http://{settings.http}"
    base = settings.public_url.rstrip("/") or web_at
    node = node_addresses(str(addresses.get("dicom", "")))
    return {
        "http": web_at,
        **{name: f"{settings.ae_title}@{at}" for name, at in node.items()},
        "desk": f"{base}/desk/",
        "review": f"{base}/review/",
        "home": str(settings.home),
    }
