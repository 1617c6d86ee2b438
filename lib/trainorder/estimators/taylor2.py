"""`taylor2`: order 2 with exact third derivatives. The yardstick of order 2."""

from trainorder.estimators.taylor import Taylor


class Taylor2(Taylor):
    """g_t = G[t, s] + H_s d + (1/2) D^3 L_s [d, d] (DESIGN section 2, order 2, `hvp2`)."""

    order = 2
