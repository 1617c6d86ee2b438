"""`nystrom`: order 1 with a low-rank model of each unit's curvature."""

from trainorder.curvature.low_rank_replay import LowRankReplay


class Nystrom(LowRankReplay):
    """g_t = gbar_t + Q' (a_{t,s} + M_c Q d): the low-rank expansion, replayed exactly."""
