"""Sends held-out images through the client, as any caller would, and says what came back."""

from pathlib import Path

from local.prepare import MODEL
from medserve import Client, EncodedImage, MedserveError

_LABEL_MARK = "-label-"


def ask(client: Client, images: list[Path]) -> bool:
    """Asks about each image and prints a line on it; returns whether every one was answered. A misread digit is an answer too."""
    print(f"  {'image':<22} {'answer':<10} {'probability':>11}   {'shows':<6}")
    right = 0
    answers = []
    for image in images:
        shown = image.stem.rpartition(_LABEL_MARK)[2]
        try:
            answer = client.infer(MODEL, {"images": EncodedImage.read(image)})
        except MedserveError as error:
            print(f"  {image.name:<22} failed: {error}")
            continue
        answers.append(answer)
        finding = answer.findings[0]
        is_right = finding.code.code == shown
        right += is_right
        remark = "" if is_right else "   misread"
        print(f"  {image.name:<22} {finding.code.display:<10} {finding.probability:>10.2%}    {shown:<6}{remark}")
    if answers:
        served_by = answers[-1].served_by
        print(f"  {right} of {len(answers)} read right by {served_by.model} version {served_by.version} ({served_by.weights_digest[:19]}…)")
        for warning in answers[-1].warnings:
            print(f"  {warning.reason}: {warning.message}")
    return len(answers) == len(images) > 0
