"""What arms and metrics are called on pages and in exports, and how a metric is explained."""

from playbook.contracts.metrics import Metric
from playbook.contracts.run_spec import Arm, Method

ARM_LABELS = {
    Arm.ZERO_SHOT: "Zero-shot",
    Arm.FEW_SHOT: "Few-shot",
    Arm.RAG: "RAG",
    Arm.LORA: "LoRA",
    Arm.RAG_LORA: "RAG+LoRA",
}
#: What LoRA is called where another method tuned the model.
_METHODS = {Method.QLORA: "QLoRA", Method.FULL: "Full tuning"}
#: Inside a sentence.
METRIC_NAMES = {
    Metric.EXACT_MATCH: "exact match",
    Metric.JSON_VALID: "valid JSON",
    Metric.JSON_SCHEMA: "valid by schema",
    Metric.FIELD_F1: "field F1",
    Metric.LABEL_ACCURACY: "label accuracy",
    Metric.CHRF: "chrF",
    Metric.ROUGE_L: "ROUGE-L",
    Metric.RUBRIC: "rubric",
    Metric.PERPLEXITY: "perplexity",
}
METRIC_EXPLANATIONS = {
    Metric.EXACT_MATCH: "A row is right when the whole answer is the expected one. JSON is compared by value: the "
    "order of keys and white space do not count, one wrong field does.",
    Metric.JSON_VALID: "A row is right when the whole answer is one JSON value. What it says is not looked at.",
    Metric.JSON_SCHEMA: "A row is right when the whole answer is JSON and valid by the dataset's JSON Schema. Whether "
    "the values are true is not looked at.",
    Metric.FIELD_F1: "For each row, how many of the expected fields the answer has right, against how many it gives "
    "(harmonic mean of precision and recall). An answer that is not JSON scores 0. The figure is the mean over rows.",
    Metric.LABEL_ACCURACY: "A row is right when the label is the expected one. The confusion matrix shows which labels "
    "are taken for which.",
    Metric.CHRF: "How many groups of one to six characters the answer shares with the expected one (F-score with "
    "recall counted twice, Popović 2015). 100 % is the same text; good free text is far below. Mean over rows.",
    Metric.ROUGE_L: "The longest sequence of words that the answer shares with the expected one, in order, against the "
    "length of both (Lin 2004). Mean over rows.",
    Metric.RUBRIC: "The share of the dataset's rules that an answer keeps, by weight. Rules look at patterns and "
    "lengths, not at truth. Mean over rows.",
    Metric.PERPLEXITY: "How surprised the model is by the expected answers, per token: 1 is not at all, 10 is as if it "
    "chose among ten tokens each time. Lower is better. It says nothing of what the model would write itself.",
}
#: What an arm does, with its score in place of {}; of other metrics it reaches so much.
PHRASES = {
    Metric.EXACT_MATCH: "is right on {}",
    Metric.LABEL_ACCURACY: "is right on {}",
    Metric.JSON_VALID: "gives valid JSON on {}",
    Metric.JSON_SCHEMA: "is valid by the schema on {}",
    Metric.RUBRIC: "keeps {} of the rubric",
    Metric.PERPLEXITY: "has a perplexity of {}",
}


def arm_label(arm: Arm, method: Method) -> str:
    """Return what an arm is called; a tuned model by the method that tuned it.

    >>> arm_label(Arm.LORA, Method.FULL), arm_label(Arm.RAG_LORA, Method.QLORA), arm_label(Arm.RAG, Method.FULL)
    ('Full tuning', 'RAG+QLoRA', 'RAG')
    """
    return ARM_LABELS[arm].replace("LoRA", _METHODS.get(method, "LoRA"))
