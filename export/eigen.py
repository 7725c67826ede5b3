"""Eigenvectors of symmetric 3 x 3 matrices in ONNX, which has no operator for them: Jacobi's rotations, one in each turn of a loop.

In double precision, as in the library: what a grey picture's colours are divided by is a millionth of what stands beside it.
"""

# No `from __future__ import annotations`: onnxscript reads the annotations. Its operators are more tolerant than their types.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportOptionalOperand=false, reportReturnType=false

import numpy as np
import onnx
from onnxscript import DOUBLE, script
from onnxscript import opset18 as op

_ZERO, _ONE, _TWO, _TINY, _UNIT = (onnx.numpy_helper.from_array(np.array(values, np.float64)) for values in (0, 1, 2, 1e-30, np.eye(3)))


@script()
def _jacobi(matrix: DOUBLE) -> tuple[DOUBLE, DOUBLE]:
    """Eigenvalues [B, 3] and eigenvectors [B, 3, 3] of `matrix` [B, 3, 3].

    Each turn makes the element between the first two axes zero and moves the last axis to the front, so that all three pairs have their
    turn. After five sweeps what is left beside the diagonal is rounding.
    """
    zero, one, two, tiny = op.Constant(value=_ZERO), op.Constant(value=_ONE), op.Constant(value=_TWO), op.Constant(value=_TINY)
    unit = op.Constant(value=_UNIT)
    vectors = matrix * zero + unit
    left = op.Identity(matrix)
    for _ in range(15):
        xx = op.Slice(op.Slice(left, [0], [1], [1]), [0], [1], [2])
        yy = op.Slice(op.Slice(left, [1], [2], [1]), [1], [2], [2])
        xy = two * op.Slice(op.Slice(left, [0], [1], [1]), [1], [2], [2])
        apart = yy - xx
        length = op.Max(op.Abs(apart) + op.Sqrt(apart * apart + xy * xy), tiny)
        tangent = op.Where(op.Less(apart, zero), op.Neg(xy), xy) / length
        cosine = one / op.Sqrt(one + tangent * tangent)
        sine = tangent * cosine
        none = sine - sine
        third = op.Concat(none, none, none + one, axis=2)
        first = op.Concat(cosine, op.Neg(sine), none, axis=2)
        second = op.Concat(sine, cosine, none, axis=2)
        turn = op.Concat(third, first, second, axis=1)
        back = op.Transpose(turn, perm=[0, 2, 1])
        left = op.MatMul(op.MatMul(turn, left), back)
        vectors = op.MatMul(vectors, back)
    values = op.ReduceSum(left * unit, [1], keepdims=0)
    return values, vectors


def eigh(matrix, UPLO="L", compute_v=True):  # noqa: ANN001, ANN201, N803 - the arguments of torch's operator
    """What stands for `torch.linalg.eigh` in a graph."""
    values, vectors = _jacobi(matrix)
    return values, vectors
