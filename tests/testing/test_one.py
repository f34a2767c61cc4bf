from __future__ import annotations

from graphforget.testing import check_unlearner, tiny_case
from graphforget.testing.one import OneMethod
from graphforget.testing.report import CheckReport
from graphforget.unlearners import METHODS


def test_the_main_request_is_the_first_that_is_supported():
    case = tiny_case("node_classification")
    one = OneMethod(CheckReport("x"), METHODS["unlink"](), case)
    assert one.main == "nodes" and one.result is one.result and ("node_classification", "nodes") in one.report.results


def test_every_supported_request_is_run():
    report = check_unlearner("finetune", tasks=["link_prediction"])
    run = {c.request for c in report.executed if c.request}
    assert run == set(tiny_case("link_prediction").requests) == {name for _, name in report.results}


def test_follow_ups_are_chosen_for_the_method_that_runs_them():
    case = tiny_case("link_prediction")
    one = OneMethod(CheckReport("x"), METHODS["gnndelete"](**METHODS["gnndelete"].test_params()[0]), case)
    assert one.follow_up(METHODS["finetune"]()) == case.later[0]
