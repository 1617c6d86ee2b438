"""The files of a record, and how they are written and read.

    record.json                    the settings of the run, see `settings`
    heldout.safetensors            the sequences that orders are judged by, see `heldout`
    steps/<step>.safetensors       what one update consumed and used, see `steps`
    checkpoint-<step>/             a state of the run, see `states`

`<step>` is the number of updates before it. A record has all steps from its first to its last one.
Each file is complete or absent, and a step is written before the states that follow it.
"""
