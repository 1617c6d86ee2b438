"""An optimizer that no study replays is one line, which says which ones are supported."""

import pytest
import torch
from transformers.optimization import Adafactor

from recorded_runs import Run
from trainers import llama
from trainorder.errors import UserError
from trainorder.recording import RecordingCallback
from trainorder.recording.supported_runs import SUPPORTED_OPTIMIZER
from trainorder.recording.trainer_import.import_run import Given, import_trainer

RATE = 1e-3


def foreign(name, package, state, **defaults):
    """Return a class of optimizers with the state and options of one that is not installed."""

    def __init__(self, parameters):  # noqa: N807
        torch.optim.Optimizer.__init__(self, parameters, {"lr": RATE, **defaults})

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {key: make(parameter) for key, make in state.items()}

    content = {"__init__": __init__, "step": step, "__module__": f"{package}.optim"}
    return type(name, (torch.optim.Optimizer,), content)


def quantized(parameter):
    return torch.zeros(parameter.shape, dtype=torch.uint8)


def count(parameter):
    return 1


PAGED = foreign(
    "PagedAdamW", "bitsandbytes", {"step": count, "state1": torch.zeros_like,
                                   "state2": torch.zeros_like},
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
)  # fmt: skip
EIGHT_BIT = foreign(
    "AdamW8bit", "bitsandbytes", {"step": count, "state1": quantized, "state2": quantized,
                                  "qmap1": quantized, "absmax1": quantized},
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
)  # fmt: skip
LION = foreign(
    "Lion", "lion_pytorch", {"exp_avg": torch.zeros_like}, betas=(0.9, 0.99), weight_decay=0.0
)
OPTIMIZERS = {
    "amsgrad": (lambda p: torch.optim.AdamW(p, RATE, amsgrad=True), "AdamW with amsgrad"),
    "maximize": (lambda p: torch.optim.AdamW(p, RATE, maximize=True), "AdamW with maximize"),
    "Adam": (lambda p: torch.optim.Adam(p, RATE), "Adam of torch"),
    "RAdam": (lambda p: torch.optim.RAdam(p, RATE), "RAdam of torch"),
    "SGD with nesterov": (
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True), "SGD of torch"
    ),
    "Adafactor": (
        lambda p: Adafactor(p, RATE, relative_step=False, scale_parameter=False),
        "Adafactor of transformers",
    ),
    "Lion": (LION, "Lion of lion_pytorch"),
    "paged AdamW": (PAGED, "PagedAdamW of bitsandbytes"),
    "8-bit AdamW": (EIGHT_BIT, "AdamW8bit of bitsandbytes"),
}  # fmt: skip
STORED = {  # what optimizer.pt shows, which has no name of a class
    "amsgrad": "AdamW with amsgrad",
    "maximize": "AdamW with maximize",
    "Adam": "weight decay of the optimizer is not decoupled",
    "RAdam": "weight decay of the optimizer is not decoupled",
    "SGD with nesterov": "its state has momentum_buffer",
    "Adafactor": "its state has RMS, exp_avg_sq_col, exp_avg_sq_row",
    "Lion": "not the state of AdamW",
    "paged AdamW": "its state has state1, state2",
    "8-bit AdamW": "its state has absmax1, qmap1, state1, state2",
}


def assert_says(error, what):
    text = str(error.value)
    assert what in text
    assert text.endswith(SUPPORTED_OPTIMIZER), "the message does not say what is supported"
    assert "\n" not in text


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loop_with_it_is_not_recorded(tmp_path, name):
    make, what = OPTIMIZERS[name]
    run = Run()
    run.optimizer = make(run.model.parameters())
    with pytest.raises(UserError) as error, run.recorder(tmp_path):
        pass
    assert_says(error, f"the optimizer is {what}")
    assert not list(tmp_path.iterdir()), "a record was started"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_trainer_with_it_is_neither_recorded_nor_imported(tmp_path, make_trainer, name):
    make, what = OPTIMIZERS[name]

    def trainer(*callbacks):
        model = llama()
        made = make_trainer(tmp_path / "run", *callbacks, model=model, max_steps=2)
        made.optimizer = make(model.parameters())
        return made

    with pytest.raises(UserError) as error:
        trainer(RecordingCallback(tmp_path / "record")).train()
    assert_says(error, f"the optimizer is {what}")
    trainer().train()
    with pytest.raises(UserError) as error:
        import_trainer(tmp_path / "run", tmp_path / "record", Given())
    assert_says(error, "checkpoint-2/optimizer.pt: ")
    assert_says(error, STORED[name])
    assert not (tmp_path / "record").exists(), "a record was started"
