"""What a manifest says, in a sentence."""

from medserve.v1 import coding_pb2, manifest_output_pb2


def says(spec: manifest_output_pb2.OutputSpec) -> str:
    """What an output is read as."""
    match spec.WhichOneof("reading"):
        case "classification":
            labels = ", ".join(_name(label.code) for label in spec.classification.labels)
            return f"{'one of' if spec.classification.exclusive else 'any of'} {labels}"
        case "survival":
            return f"the chance to be without {_name(spec.survival.event)} until {spec.survival.times_days[-1]:g} days"
        case "treatment":
            options = ", ".join(_name(option) for option in spec.treatment.options)
            return f"{_name(spec.treatment.outcome)} in {spec.treatment.unit} under each of {options}"
        case "forecast":
            return f"a forecast of {', '.join(_name(variable.code) for variable in spec.forecast.variables)}"
        case "novelty":
            return f"how unlike the training data the item is: {spec.novelty.method}, novel above {spec.novelty.threshold:.4g}"
        case _:
            return "numbers"


def _name(coding: coding_pb2.Coding) -> str:
    return coding.display or coding.code
