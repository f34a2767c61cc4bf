from __future__ import annotations

import copy
import json
import pickle

from graphforget.exceptions import Reason, UnsupportedError


def test_a_reason_is_a_sentence_with_a_code():
    reason = Reason("needs_history", "it needs the training history")
    assert reason == "it needs the training history" and json.dumps([reason]) == '["it needs the training history"]'
    for twin in (copy.copy(reason), copy.deepcopy(reason), pickle.loads(pickle.dumps(reason))):
        assert twin == reason and twin.code == "needs_history"


def test_an_error_says_every_reason_and_keeps_the_codes():
    error = UnsupportedError("mine", [Reason("tasks", "it serves images"), Reason("scope", "no region here")])
    assert str(error) == "method 'mine' cannot do this: it serves images; no region here"
    assert [reason.code for reason in error.reasons] == ["tasks", "scope"]
