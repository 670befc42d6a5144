"""What evaluates the networks once they are trained: an engine and a precision."""

from dataclasses import dataclass
from importlib.util import find_spec

from omegaconf import DictConfig

from benchmarks.errors import BadInput, unknown

ENGINES = ("eager", "compile", "openvino")
PRECISIONS = ("f32", "bf16")


@dataclass(frozen=True)
class Inference:
    """engine: eager (PyTorch as it is), compile (torch.compile) or openvino (on CPUs); precision: f32, or bf16, in
    which products and convolutions are computed while weights and results stay float32."""

    engine: str
    precision: str

    @property
    def words(self) -> str:
        """As a command has it."""
        return f"inference.engine={self.engine} inference.precision={self.precision}"


def asked(config: DictConfig) -> Inference | None:
    """The command's; None for PyTorch in float32, the reference that all other ways are compared with. Raises BadInput
    for what there is not."""
    engine, precision = config.inference.engine, config.inference.precision
    for key, value, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise unknown(f"inference.{key}", value, known)
    if engine == "openvino" and find_spec("openvino") is None:
        raise BadInput("inference.engine=openvino: OpenVINO is not installed. `pip install openvino`, or take eager.")
    return None if (engine, precision) == ("eager", "f32") else Inference(engine, precision)
