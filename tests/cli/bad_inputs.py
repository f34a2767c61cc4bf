"""Wrong inputs and what is said about them: data, from which the tests and the page of error messages are made.

Every case runs in the workspace of ``conftest.py`` after ``files`` were put there; ``says`` stands in the one sentence on standard error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_UNLEARN = "unlearn --model model --data links.npz --request request.json --out out"


@dataclass(frozen=True)
class BadInput:
    """One wrong input.

    Attributes:
        what: In words.
        command: What was typed.
        says: Part of the answer.
        files: Files put into the workspace before; None removes one.
    """

    what: str
    command: str
    says: str
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)


def _request(content: str) -> dict[str, str | bytes | None]:
    return {"request.json": content}


BAD_INPUTS: list[BadInput] = [
    # ---- request file
    BadInput(
        "no such request file", _UNLEARN.replace("request.json", "requst.json"), "cannot read the request file 'requst.json'"
    ),
    BadInput("request is no JSON", _UNLEARN, "the request is not valid JSON", _request("{targets")),
    BadInput("request is a list", _UNLEARN, "a request is a JSON object with a list 'targets'", _request("[1, 2]")),
    BadInput("request without targets", _UNLEARN, "needs at least one target", _request('{"targets": []}')),
    BadInput("unknown key in the request", _UNLEARN, "unknown key 'target'", _request('{"targets": [], "target": []}')),
    BadInput(
        "unknown kind of target", _UNLEARN, "did you mean 'edge'", _request('{"targets": [{"kind": "edgs", "ids": [[0, 1]]}]}')
    ),
    BadInput("target without ids", _UNLEARN, "needs 'kind' and 'ids'", _request('{"targets": [{"kind": "edge"}]}')),
    BadInput(
        "edges that are no pairs",
        _UNLEARN,
        "must have one pair per row",
        _request('{"targets": [{"kind": "edge", "ids": [1, 2]}]}'),
    ),
    BadInput(
        "ids that are no whole numbers", _UNLEARN, "must be integers", _request('{"targets": [{"kind": "node", "ids": [1.5]}]}')
    ),
    BadInput("negative ids", _UNLEARN, "must not be negative", _request('{"targets": [{"kind": "node", "ids": [-1]}]}')),
    BadInput("a node that is not there", _UNLEARN, "400", _request('{"targets": [{"kind": "node", "ids": [400]}]}')),
    BadInput("an edge that is not there", _UNLEARN, "(0, 59)", _request('{"targets": [{"kind": "edge", "ids": [[0, 59]]}]}')),
    BadInput(
        "a kind the task does not know",
        _UNLEARN,
        "cannot forget 'user' targets",
        _request('{"targets": [{"kind": "user", "ids": [1]}]}'),
    ),
    BadInput("request in another encoding", _UNLEARN, "cannot read the request file", {"request.json": b"\xff\xfe\x00"}),
    # ---- data
    BadInput(
        "misspelt dataset",
        _UNLEARN.replace("links.npz", "karat"),
        "there is no dataset and no file 'karat'; did you mean 'karate'?",
    ),
    BadInput("no such data file", _UNLEARN.replace("links", "nolinks"), "there is no data file 'nolinks.npz'"),
    BadInput(
        "data file of an unknown kind",
        _UNLEARN.replace("links.npz", "links.csv"),
        "is no data file that graphforget reads",
        {"links.csv": "1,2"},
    ),
    BadInput("damaged data file", _UNLEARN, "is not a readable .npz file", {"links.npz": b"PK\x03\x04 broken"}),
    BadInput("data for another task", _UNLEARN + " --task node_classification", "needs labels y"),
    BadInput("unknown option of a dataset", _UNLEARN.replace("links.npz", "karate -D sed=1"), "has no parameter 'sed'"),
    BadInput("request for other data", _UNLEARN.replace("links.npz", "karate"), "unknown edges"),
    BadInput(
        "data of another width than the model",
        _UNLEARN.replace("links.npz", "karate"),
        "x must be [num_nodes, 8]",
        _request('{"targets": [{"kind": "node", "ids": [3]}]}'),
    ),
    # ---- model
    BadInput("no such model folder", _UNLEARN.replace("--model model", "--model mode"), "there is no model folder 'mode'"),
    BadInput("model without model.json", _UNLEARN, "no 'model.json' in 'model'", {"model/model.json": None}),
    BadInput("model without weights", _UNLEARN, "no weights file", {"model/model.safetensors": None}),
    BadInput("damaged weights", _UNLEARN, "is not a readable safetensors file", {"model/model.safetensors": b"broken"}),
    BadInput("damaged model.json", _UNLEARN, "cannot read", {"model/model.json": "{"}),
    BadInput("model.json without a class", _UNLEARN, "the key 'class' is missing", {"model/model.json": "{}"}),
    BadInput(
        "a class that is not graphforget's",
        _UNLEARN,
        "--model-class my.models:Net",
        {"model/model.json": '{"class": "my.models:Net", "config": {}}'},
    ),
    BadInput(
        "a model class that cannot be imported",
        _UNLEARN + " --model-class no.such:Net",
        "cannot import the model class 'no.such:Net'",
    ),
    BadInput("a model class without a colon", _UNLEARN + " --model-class torch.nn.Linear", "is written 'package.module:Class'"),
    BadInput(
        "weights of another shape",
        _UNLEARN,
        "the weights do not fit GCN",
        {
            "model/model.json": '{"class": "graphforget.models.gnn.gcn:GCN", "config": {"in_channels": 8, "hidden_channels": 9, "out_channels": 4}}'
        },
    ),
    # ---- method, task, options
    BadInput("misspelt method", _UNLEARN + " --method finetun", "--method: there is no 'finetun'; did you mean 'finetune'?"),
    BadInput("misspelt parameter", _UNLEARN + " --method finetune -o lrr=1", "-o.lrr: unknown key; did you mean 'lr'?"),
    BadInput(
        "parameter of the wrong type", _UNLEARN + " --method finetune -o lr=high", "-o.lr: expected a number or null, got 'high'"
    ),
    BadInput("parameter out of range", _UNLEARN + " --method finetune -o epochs=-1", "epochs must be an integer of 0 or more"),
    BadInput("parameter without a value", _UNLEARN + " --method finetune -o lr", "-o takes KEY=VALUE"),
    BadInput("parameter given twice", _UNLEARN + " --method finetune -o lr=1 -o lr=2", "-o lr is given twice"),
    BadInput("misspelt recipe field", _UNLEARN + " -r epoch=1", "-r.epoch: unknown key; did you mean 'epochs'?"),
    BadInput(
        "misspelt task",
        _UNLEARN + " --task link_predicton",
        "--task: there is no 'link_predicton'; did you mean 'link_prediction'?",
    ),
    BadInput("unknown device", _UNLEARN + " --device abacus", "the device 'abacus' is not available here"),
    BadInput("negative seed", _UNLEARN + " --seed -1", "Invalid value for '--seed'"),
    BadInput("seed that is no number", _UNLEARN + " --seed one", "Invalid value for '--seed'"),
    BadInput("missing option", "unlearn --model model", "Missing option"),
    BadInput("unknown option", _UNLEARN + " --sede 1", "No such option"),
    # ---- output
    BadInput(
        "output folder that is not empty", _UNLEARN.replace("--out out", "--out model2"), "is not empty", {"model2/a.txt": "mine"}
    ),
    BadInput(
        "output over the model itself", _UNLEARN.replace("--out out", "--out model") + " --force", "is the model's own folder"
    ),
    BadInput("output that is a file", _UNLEARN.replace("--out out", "--out request.json"), "is a file; give a folder"),
    # ---- recipe
    BadInput("no such recipe", "run recip.yaml", "cannot read the recipe 'recip.yaml'"),
    BadInput("misspelt name of a shipped recipe", "run dmo", "give a .yaml file or one of cora_nodes, dblp_edges, demo"),
    BadInput("recipe that is no YAML", "run bad.yaml", "bad.yaml, line 2: this is not valid YAML", {"bad.yaml": "a: 1\nb: ]\n"}),
    BadInput("recipe that is a list", "run bad.yaml", "a recipe is a YAML mapping", {"bad.yaml": "- 1\n"}),
    BadInput(
        "key that stands twice",
        "run bad.yaml",
        "bad.yaml, line 2: the key 'name' stands twice",
        {"bad.yaml": "name: a\nname: b\n"},
    ),
    BadInput(
        "misspelt key in the recipe",
        "run recipe.yaml -o unlearner.epoch=1 -o unlearner.method=finetune",
        "unlearner.epoch: unknown key; did you mean 'epochs'?",
    ),
    BadInput(
        "wrong type in the recipe", "run recipe.yaml -o evaluate.gold=many", "evaluate.gold: expected a whole number, got 'many'"
    ),
    BadInput("override without a value", "run recipe.yaml -o evaluate.gold", "an override is written path=value"),
    BadInput("override through a value", "run recipe.yaml -o name.first=1", "a value without keys"),
    BadInput("recipe that names no file", "run recipe.yaml -o data.file=none.npz", "there is no data file 'none.npz'"),
    BadInput("run folder that cannot be made", "run recipe.yaml --folder request.json", "cannot write the run folder"),
    # ---- results and reports
    BadInput("a folder that is no result", "evaluate model --data links.npz", "holds no result"),
    BadInput("no gold model", "evaluate model --data links.npz --gold 0", "Invalid value for '--gold'"),
    BadInput("no report", "report model", "there is no report in 'model'"),
    BadInput("damaged report", "report bad", "is not a report", {"bad/report.json": "{}"}),
    BadInput("unknown list", "list method", "there is no list of 'method'; did you mean 'methods'"),
    BadInput("unknown command", "unlern", "No such command 'unlern'"),
]
