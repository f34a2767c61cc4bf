"""How far an unlearned model is from gold: models, panel, verdict."""

from graphforget.evaluation.drift import drift, sequence
from graphforget.evaluation.evaluate import evaluate
from graphforget.evaluation.gold import Trained, gold_models, model_key, train_or_load
from graphforget.evaluation.relearning import Relearning, relearn

__all__ = ["Relearning", "Trained", "drift", "evaluate", "gold_models", "model_key", "relearn", "sequence", "train_or_load"]
