"""Gates that a version passes by being served, and by saying all of itself."""

from dataclasses import dataclass, replace

from training.gates.evidence import Evidence
from training.gates.manifest_fields import missing_fields
from training.gates.verdict import Verdict, at_most, compared, missing, with_note


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """The median latency on the embedded model server is at most `most_seconds`."""

    most_seconds: float

    @property
    def name(self) -> str:
        """For people."""
        return "latency on the model server"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the median."""
        return compared(self.name, evidence.p50_seconds, self.most_seconds, at_most, "the median latency in seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainToServe:
    """The served version answers as the network did, within `tolerance`, on `least_items` golden inputs or more (`training.golden.compare`)."""

    tolerance: float = 1e-6
    least_items: int = 1

    @property
    def name(self) -> str:
        """For people."""
        return "train-to-serve parity"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the greatest difference."""
        parity = evidence.parity
        if parity is None or parity.items < self.least_items:
            return missing(self.name, self.tolerance, f"answers to {self.least_items} golden inputs or more")
        where = f" (output {parity.output}, item {parity.item})" if parity.difference else ""
        what = f"the greatest difference of {parity.items} golden inputs{where}"
        return compared(self.name, parity.difference, self.tolerance, at_most, what)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswersThroughGateway:
    """The gateway, by the manifest alone, answers golden inputs as the network did: tensors within `tolerance`, files within `file_tolerance`.

    A file may hold less than the tensor does, such as so many decimals; what is taken for something else is further off.
    """

    tolerance: float = 1e-6
    file_tolerance: float = 1e-3

    @property
    def name(self) -> str:
        """For people."""
        return "answers through the gateway"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by what the gateway refused, and then by the greatest difference."""
        found = evidence.gateway
        if found is not None and found.refused:
            return Verdict(gate=self.name, passed=False, found=None, wanted=None, reason=f"the gateway refuses {found.refused}")
        if found is None or found.tensors is None or found.files is None:
            return missing(self.name, self.tolerance, "what the gateway answers")
        tensors = compared(
            self.name, found.tensors.difference, self.tolerance, at_most, f"the greatest difference of {found.tensors.items} golden inputs"
        )
        files = compared(self.name, found.files.difference, self.file_tolerance, at_most, f"that of {found.files.items} of them as files")
        return with_note(tensors if not tensors.passed else replace(files, reason=tensors.reason), files.reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestComplete:
    """The manifest says all that a reader needs: `training.gates.manifest_fields` has the fields, and why each is asked for."""

    @property
    def name(self) -> str:
        """For people."""
        return "manifest complete"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the fields that are empty."""
        if evidence.manifest is None:
            return missing(self.name, 0.0, "a manifest")
        lacking = missing_fields(evidence.manifest)
        reason = f"these are missing: {'; '.join(lacking)}" if lacking else "every field that is asked for is there"
        return Verdict(gate=self.name, passed=not lacking, found=float(len(lacking)), wanted=0.0, reason=reason)
