"""How far an unlearned model is from gold: models, panel, verdict."""

from graphforget.evaluation.evaluate import evaluate
from graphforget.evaluation.gold import Trained, gold_models, model_key, train_or_load

__all__ = ["Trained", "evaluate", "gold_models", "model_key", "train_or_load"]
