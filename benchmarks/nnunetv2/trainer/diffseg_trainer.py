"""nnU-Net's own trainer with another length. The package finds it through the environment variable nnUNet_extTrainer,
and it runs in the package's Python, not in this project's."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class DiffsegTrainer(nnUNetTrainer):
    """DIFFSEG_EPOCHS epochs of DIFFSEG_ITERATIONS steps instead of 1000 of 250; nothing else differs.

    Leaves `summary.json` beside the final checkpoint: what was trained, where, with which version.
    """

    # The arguments are named as the base class names them, which looks them up by name.
    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ["DIFFSEG_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["DIFFSEG_ITERATIONS"])
        self.num_val_iterations_per_epoch = max(1, self.num_iterations_per_epoch // 5)

    def on_train_end(self) -> None:
        """Save the final checkpoint, as the package does, and the summary beside it."""
        super().on_train_end()
        # Modules reached by two names count once; `parameters` sees to that.
        summary = {
            "nnunetv2": version("nnunetv2"),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else str(self.device),
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "epochs": self.num_epochs,
            "iterations": self.num_iterations_per_epoch,
            "batch_size": self.batch_size,
            "patch_size": [int(edge) for edge in self.configuration_manager.patch_size],
            "strides": [list(map(int, stride)) for stride in self.configuration_manager.pool_op_kernel_sizes],
        }
        Path(self.output_folder, "summary.json").write_text(json.dumps(summary))
