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


_GRID = "task: {name: node_classification}\ndata: [karate]\nmodels: [gcn]\nrequests: [{target: node, where: random, size: 2}]\n"


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
    BadInput(
        "a modality without its name",
        _UNLEARN,
        "a modality target needs the name of the item features",
        _request('{"targets": [{"kind": "modality", "ids": [1]}]}'),
    ),
    BadInput(
        "a name where none belongs",
        _UNLEARN,
        "a name belongs to modality and concept targets",
        _request('{"targets": [{"kind": "node", "ids": [1], "name": "image"}]}'),
    ),
    BadInput(
        "a modality of nothing",
        _UNLEARN.replace("--request request.json", "--modality image --users 3"),
        "--modality says what items lose",
    ),
    BadInput("a modality beside a request file", _UNLEARN + " --modality image", "give either --request, or --items"),
    BadInput(
        "a modality of data without item features",
        _UNLEARN.replace("--request request.json", "--modality image --items 3 --task link_prediction"),
        "--modality needs data with item features",
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
    BadInput(
        "canaries of a graph",
        _UNLEARN.replace("links.npz", "karate -D canary=0.1"),
        "canaries are interactions held out before training, and 'karate' has none",
    ),
    BadInput(
        "too many canaries",
        "recommend shop --data tastes -D canary=0.7 --user 3",
        "the share of canaries must be above 0 and at most 0.5, got 0.7",
    ),
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
    BadInput(
        "a method of others that is not there",
        _UNLEARN + " --method acme:Forget",
        "--method: cannot import the method 'acme:Forget': No module named 'acme'; is its folder on PYTHONPATH?",
    ),
    BadInput(
        "a class that is no method",
        _UNLEARN + " --method torch.nn:Linear",
        "--method: method 'torch.nn:Linear' must be a class derived from Unlearner",
    ),
    BadInput(
        "data of others that are not there",
        _UNLEARN.replace("links.npz", "acme:ring"),
        "cannot import the dataset 'acme:ring': No module named 'acme'",
    ),
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
    # ---- recommenders in service
    BadInput("nothing to suspend", "suspend shop --data tastes", "say what: --items 3,17"),
    BadInput("suspension of unknown items", "suspend shop --data tastes --items 4000", "unknown items 4000"),
    BadInput("suspension of what is no id", "suspend shop --data tastes --items three", "--items takes ids with commas"),
    BadInput("suspension without data", "suspend shop --items 3", "'shop' does not say which data it is served on"),
    BadInput(
        "misspelt attribute", "suspend shop --data tastes --items-with ownr=x", "no item attribute 'ownr': did you mean 'owner'"
    ),
    BadInput(
        "suspension of interactions",
        "suspend shop --data tastes --request request.json",
        "a suspension names users and items, but the request names interaction targets",
        _request('{"targets": [{"kind": "interaction", "ids": [[0, 1]]}]}'),
    ),
    BadInput("lifting what is not suspended", "suspend shop --data tastes --lift --items 3", "items 3 are not suspended"),
    BadInput("lifting where nothing is suspended", "suspend shop --data tastes --lift --all", "nothing is suspended in 'shop'"),
    BadInput("all of everything", "suspend shop --data tastes --all", "--all belongs to --lift"),
    BadInput(
        "damaged record of suspensions",
        "recommend shop --user 12",
        "is no record of suspensions",
        {"shop/suspended.json": '{"suspended": {}}'},
    ),
    BadInput(
        "deletion from a model with a damaged record of suspensions",
        "unlearn --model shop --data tastes --items 3 --method row_reset --out out",
        "is no record of suspensions",
        {"shop/suspended.json": "[]"},
    ),
    BadInput("lists for nobody", "recommend shop --data tastes", "say for whom: --user 12"),
    BadInput("lists for an unknown user", "recommend shop --data tastes --user 300", "unknown users 300"),
    BadInput("lists of no item", "recommend shop --data tastes --user 3 --top 0", "Invalid value for '--top'"),
    BadInput(
        "lists of what is no recommender", "recommend model --data tastes --user 3", "the model in 'model' is no recommender"
    ),
    BadInput("lists from a folder that is not there", "recommend shops --user 3", "there is no folder 'shops'"),
    BadInput("lists of other data than the model's", "recommend shop --data links.npz --user 3", "needs Interactions"),
    BadInput("option without a dataset", "recommend shop -D seed=1 --user 3", "give --data too"),
    BadInput("run without a result", "recommend run1 --user 3", "has no result yet", {"run1/config.yaml": "name: a"}),
    BadInput("nothing to restore", "restore shop --data tastes --items 3 --out out", "so there is nothing to restore"),
    BadInput("restoring nothing", "restore shop --data tastes --out out", "say which items come back"),
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
    # ---- sweeps
    BadInput("no such grid", "sweep gird.yaml", "cannot read the grid 'gird.yaml'"),
    BadInput(
        "misspelt key in a grid",
        "sweep grid.yaml",
        "grid.yaml, line 5: seed: unknown key; did you mean 'seeds'",
        {"grid.yaml": _GRID + "seed: [0]\n"},
    ),
    BadInput(
        "misspelt method in a grid",
        "sweep grid.yaml",
        "methods.0.method: there is no 'fintune'; did you mean 'finetune'",
        {"grid.yaml": _GRID + "methods: [fintune]\n"},
    ),
    BadInput("cells that are not there", "sweep grid.yaml --only seed=9", "--only seed=9: no cell has it", {"grid.yaml": _GRID}),
    BadInput("--only without a value", "sweep grid.yaml --only seed", "--only takes KEY=VALUE", {"grid.yaml": _GRID}),
    BadInput("smoke without sizes", "sweep grid.yaml --smoke", "names no sizes under smoke", {"grid.yaml": _GRID}),
]
