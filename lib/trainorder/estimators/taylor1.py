"""`taylor1`: order 1 with exact Hessian-vector products. The yardstick of order 1."""

from trainorder.estimators.taylor import Taylor


class Taylor1(Taylor):
    """g_t = G[t, s] + H_s d (DESIGN section 2, order 1, curvature `hvp`)."""

    order = 1
