"""Callers that change the records at the same time, each in a thread of its own: held inside their change until let go."""

import threading
import time

from gateway.domain.audit import flaws
from gateway.domain.people import HOUSE

PATIENCE_S = 20


class Caller(threading.Thread):
    """Makes one change in a thread of its own: says when it is in, and stays in until it is let go."""

    def __init__(self, house, name, *, stays=False, body=lambda change: None, notes=True):
        super().__init__(daemon=True)
        self.house, self.subject, self.body, self.notes = house, name, body, notes
        self.is_in, self.may_go = threading.Event(), threading.Event()
        self.result = None
        if not stays:
            self.may_go.set()

    def run(self):
        try:
            with self.house.records.change(by=HOUSE) as change:
                self.before = change.head()[0]
                change.owe("settle_study", self.subject, due_at=self.house.clock.now())
                self.seen = {subject for (subject,) in change.jobs.pick(["subject_id"])}
                self.is_in.set()
                assert self.may_go.wait(PATIENCE_S)
                self.body(change)
                if self.notes:
                    change.note("study_settled", subject=self.subject)
            self.result = "durable"
        except BaseException as error:
            self.result = error


def queued(house, *callers):
    """Start them one after another, each once the one before is in or waits for its turn."""
    turn = house.records._writer._turn
    callers[0].start()
    assert callers[0].is_in.wait(PATIENCE_S)
    for number, caller in enumerate(callers[1:], start=1):
        caller.start()
        until = time.monotonic() + PATIENCE_S
        while len(turn._waiting) < number:
            assert time.monotonic() < until
            time.sleep(0.001)


def ended(*callers):
    """Let all go and return what each was told: «durable» or the kind of its error."""
    for caller in callers:
        caller.may_go.set()
    for caller in callers:
        caller.join(PATIENCE_S)
    return [c.result if isinstance(c.result, str) else type(c.result) for c in callers]


def is_intact(house):
    """Tell whether the audit trail holds."""
    with house.records.view() as view:
        seq, head = view.head()
        return list(flaws(view.events(), head_seq=seq, head_hash=head)) == []


def subjects(house):
    """Whom the kept jobs are about."""
    return {job.subject_id for job in house.rows("jobs")}


def next_gets_in(house, name):
    """See that a change that begins now is kept."""
    after = Caller(house, name)
    after.start()
    assert ended(after) == ["durable"]
    assert name in subjects(house)
    assert is_intact(house)
