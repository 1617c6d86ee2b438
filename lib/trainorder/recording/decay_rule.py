"""Which parameters the `Trainer` of transformers exempts from weight decay, by their names."""

# As in `Trainer.get_decay_parameter_names` of transformers 5, which searches names in lower case.
# It exempts all parameters of `torch.nn.LayerNorm`, too.
NOT_DECAYED = ("bias", "layernorm", "rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)")
