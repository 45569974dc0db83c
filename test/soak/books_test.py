#!/usr/bin/env python3
"""Tests of books.py: what balances, and each thing that must not."""

import copy
import unittest

from books import Books, Request, problems, step_key

RUN_ID = "5f0c3b9e-0000-4000-8000-000000000001"


def event(t, ordem, tipo, **detalhes):
    """An event of an attempt, with its key."""
    return {"t": t, "ordem": ordem, "tipo": tipo,
            "detalhes": {"chave": step_key(RUN_ID, ordem), **detalhes}}


def request(t, ordem, behaviour="ok", key=None):
    """A request as the journal has it."""
    return Request(t, RUN_ID, ordem, key or step_key(RUN_ID, ordem), behaviour)


def run_of(status="CONCLUIDA", hold=False, steps=(1, 2), messages=(1, 2), events=(), **more):
    """A run as the database tells it."""
    return {"id": RUN_ID, "empresa": "X", "status": status, "claim": None, "now": 1000,
            "due": None, "steps": list(steps), "hold": hold, "messages": list(messages),
            "events": list(events), **more}


SENT = [event(11, 1, "DISPARADO"), event(21, 2, "DISPARADO")]
REQUESTS = [request(10, 1), request(20, 2)]


class Balanced(unittest.TestCase):
    """Histories that are as they should be."""

    def check(self, run, requests):
        self.assertEqual(problems(run, requests), [])

    def test_sent(self):
        self.check(run_of(events=SENT), REQUESTS)

    def test_again_after_failure_and_uncertainty(self):
        self.check(run_of(events=[event(6, 1, "ERRO", codigo="FALHA_ENVIO"),
                                  event(8, 1, "ERRO", codigo="INCERTO")] + SENT),
                   [request(5, 1, "fail500"), request(7, 1, "hang")] + REQUESTS)

    def test_held(self):
        self.check(run_of("PAUSADA", True, messages=[], events=[
            event(11, 1, "ERRO", codigo="INCERTO", permanente=True)]), [request(10, 1, "reset")])

    def test_waiting(self):
        self.check(run_of("ATIVA", messages=[], due=1001, events=[
            event(11, 1, "ERRO", codigo="FALHA_ENVIO", proxima_tentativa="")]),
            [request(10, 1, "fail500")])

    def test_late_answer_that_settles(self):
        self.check(run_of(hold=True, events=[
            event(8, 1, "ERRO", codigo="INCERTO", permanente=True),
            event(11, 1, "DISPARADO", tardio=True), event(21, 2, "DISPARADO")]),
            [request(5, 1), request(20, 2)])

    def test_late_answer(self):
        self.check(run_of(messages=[1, 1, 2], events=[
            event(8, 1, "ERRO", codigo="INCERTO")] + SENT + [
                event(30, 1, "DISPARADO", tardio=True)]), [request(5, 1)] + REQUESTS)


class Unbalanced(unittest.TestCase):
    """Each rule, broken."""

    def check(self, run, requests, *expected):
        found = problems(run, requests)
        self.assertEqual(len(found), len(expected), found)
        for problem, part in zip(found, expected):
            self.assertIn(part, problem)

    def test_silent_duplicate(self):
        self.check(run_of(events=SENT), [request(5, 1)] + REQUESTS,
                   "step 1 was sent again", "step 1 was sent 2 times, and 1 attempts")

    def test_one_reason_for_two_duplicates(self):
        self.check(run_of(events=[event(6, 1, "ERRO", codigo="INCERTO")] + SENT),
                   [request(5, 1), request(5.5, 1)] + REQUESTS,
                   "step 1 was sent again", "step 1 was sent 3 times, and 2 attempts")

    def test_late_event_is_no_reason(self):
        self.check(run_of(events=[event(6, 1, "ERRO", codigo="INCERTO", tardio=True)] + SENT),
                   [request(5, 1)] + REQUESTS, "sent again", "sent 2 times")

    def test_uncertain_sent_again_though_held(self):
        self.check(run_of(hold=True, events=[event(6, 1, "ERRO", codigo="INCERTO")] + SENT),
                   [request(5, 1)] + REQUESTS, "step 1 was sent again")

    def test_refused_sent_again(self):
        self.check(run_of(events=[event(6, 1, "ERRO", codigo="RECUSADO")] + SENT),
                   [request(5, 1, "refuse")] + REQUESTS, "step 1 was sent again")

    def test_other_key(self):
        self.check(run_of(events=SENT), [request(10, 1, key="k"), request(20, 2)], "with key k")

    def test_step_that_does_not_exist(self):
        self.check(run_of(events=SENT), REQUESTS + [request(30, 3)], "step 3, which does not exist")

    def test_sent_without_request(self):
        self.check(run_of(events=SENT), REQUESTS[:1], "step 2 was never accepted")

    def test_sent_after_a_failure_only(self):
        self.check(run_of(events=SENT), [request(10, 1, "fail500"), request(20, 2)],
                   "step 1 was never accepted")

    def test_done_without_event(self):
        self.check(run_of(events=SENT[:1], messages=[1]), REQUESTS,
                   "step 2 was sent 1 times, and 0 attempts", "step 2 has 0 events DISPARADO")

    def test_late_answer_that_settles_nothing(self):
        self.check(run_of(hold=True, events=[
            event(11, 1, "DISPARADO", tardio=True), event(21, 2, "DISPARADO")]),
            [request(5, 1), request(20, 2)], "0 attempts are on record", "step 1 has 0 events DISPARADO")

    def test_two_events_for_one_step(self):
        self.check(run_of(events=SENT + SENT[1:], messages=[1, 2, 2]), REQUESTS,
                   "step 2 has 2 events DISPARADO")

    def test_claim_left(self):
        self.check(run_of(events=SENT, claim="c"), REQUESTS, "claim c is left over")

    def test_paused_without_reason(self):
        self.check(run_of("PAUSADA", messages=[]), [], "no event says why")

    def test_due_and_not_sent(self):
        self.check(run_of("ATIVA", messages=[], due=999), [], "nobody has sent it")

    def test_waiting_without_reason(self):
        self.check(run_of("ATIVA", messages=[], due=1001), [], "does not say why")

    def test_other_status(self):
        self.check(run_of("CANCELADA", messages=[]), [], "its status is CANCELADA")

    def test_message_rows(self):
        self.check(run_of(events=SENT, messages=[1]), REQUESTS, "step 2 has 0 message rows")
        self.check(run_of(events=SENT, messages=[1, 2, 2]), REQUESTS, "step 2 has 2 message rows")

    def test_requests_of_no_run(self):
        books = Books({"other": REQUESTS, RUN_ID: list(REQUESTS)})
        books.add(copy.deepcopy(run_of(events=SENT)))
        books.close()
        self.assertEqual(books.imbalances, ["run other does not exist, and was sent 2 times"])
        self.assertEqual(books.sums["requests"], 2)


if __name__ == "__main__":
    unittest.main()
