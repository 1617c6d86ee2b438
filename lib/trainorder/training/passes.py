"""The arithmetic of the passes through the model: what a loss or a derivative of a sequence costs.

For each matrix product of the forward pass, count the matrix products of the same size:

* a loss has 1: `y = W x`;
* a gradient has 3: the reverse pass adds `W' y'` and `y' x'` (Kaplan et al. 2020, arXiv 2001.08361,
  section 2.1);
* a Hessian-vector product adds 6, two for each of these 3, because every product has two factors
  and the reverse pass through it computes the derivative in both;
* a third derivative `D^3 L [d, d]` adds 14. The 8 products that lead to `H d` (all but `y' x'`) are
  reversed in turn; the two that contain the fixed direction `d` have only one other factor.

So in gradients, a loss counts 1/3, a Hessian-vector product 2 and a third derivative 14/3, each of
the last two beyond the pass that it needs first. Attention adds products of two activations, for
which the same factors hold, except that a third derivative is 0.1 to 0.3 gradients more.
"""

from collections.abc import Mapping

PRODUCTS = {"losses": 1, "gradients": 3, "hvps": 6, "third_derivatives": 14}


def products(counts: Mapping[str, int]) -> int:
    """Return the arithmetic of sequences counted by kind, in forward passes of a sequence.

    Examples:
        >>> products({"gradients": 10, "losses": 30})
        60

    """
    return sum(n * PRODUCTS[kind] for kind, n in counts.items())
