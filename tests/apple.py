"""An Apple GPU in the eyes of this package, on any machine: tensors that say they are on "mps", and what torch cannot do there.

Values lie on the CPU and are computed there, but nothing else mixes with them, float64 is refused as Apple's GPUs do, and so is every
operator in `LACKING`: those without a kernel for MPS in torch 2.6 (by its native_functions.yaml), or with one that refuses the
arguments at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

MPS = torch.device("mps", 0)

LACKING = frozenset(
    [
        "_adaptive_avg_pool3d",
        "_addmm_activation",
        "_aminmax",
        "_cummax_helper",
        "_cummin_helper",
        "_linalg_det",
        "_linalg_eigh",
        "_linalg_eigvals",
        "_linalg_slogdet",
        "_linalg_solve_ex",
        "_linalg_svd",
        "_logcumsumexp",
        "_masked_softmax",
        "_unique",
        "_upsample_bicubic2d_aa",
        "_upsample_bilinear2d_aa",
        "adaptive_avg_pool3d",
        "adaptive_max_pool3d",
        "angle",
        "avg_pool3d",
        "batch_norm_update_stats",
        "channel_shuffle",
        "cholesky",
        "cholesky_inverse",
        "col2im",
        "erfc",
        "fractional_max_pool2d",
        "frexp",
        "gcd",
        "geqrf",
        "grid_sampler_3d",
        "hardshrink",
        "heaviside",
        "igamma",
        "igammac",
        "index_copy",
        "index_copy_",
        "index_reduce",
        "isin",
        "kthvalue",
        "lcm",
        "linalg_cholesky_ex",
        "linalg_eig",
        "linalg_eigvals",
        "linalg_householder_product",
        "linalg_ldl_factor_ex",
        "linalg_ldl_solve",
        "linalg_lstsq",
        "linalg_lu",
        "linalg_lu_factor_ex",
        "linalg_lu_solve",
        "linalg_matrix_exp",
        "linalg_qr",
        "log_normal_",
        "logspace",
        "lu_unpack",
        "max_pool3d_with_indices",
        "max_unpool2d",
        "mode",
        "nanmedian",
        "native_dropout",
        "nonzero_static",
        "ormqr",
        "poisson",
        "put_",
        "rrelu_with_noise",
        "segment_reduce",
        "sinc",
        "sinc_",
        "slow_conv_dilated2d",
        "slow_conv_transpose2d",
        "special_i0e",
        "special_i1e",
        "special_entr",
        "take",
        "unique_dim",
        "upsample_nearest3d",
        "upsample_trilinear3d",
        "vdot",
    ]
)


class Apple(TorchDispatchMode):
    """While it is entered, "mps" can be named as a device, and tensors can be moved there. `ran` collects the operators' names."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: set[str] = set()
        self._literals = _Literals()
        self._before: list[bool] = []  # of each time it was entered: within an operator it is entered anew

    def __enter__(self) -> Apple:
        self._before.append(torch.__future__.get_overwrite_module_params_on_conversion())
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # tensors of a class of their own cannot be put into others
        self._literals.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.__future__.set_overwrite_module_params_on_conversion(self._before.pop())
        super().__exit__(*error)
        self._literals.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        with torch._C.DisableTorchFunction(), self:  # what is made of other operators is seen as those
            result = func.decompose(*args, **(kwargs or {}))
        return _run(func, args, dict(kwargs or {}), self.ran) if result is NotImplemented else result


class _Literals(TorchFunctionMode):
    """Sends what `torch.tensor` and `Tensor.new_tensor` make, which no dispatch mode sees, to where it belongs."""

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get("device") == MPS:
            return torch.tensor(*args, **kwargs | {"device": None}).to(MPS)
        if func is Tensor.new_tensor and isinstance(args[0], AppleTensor):
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype} | kwargs).to(MPS)
        return func(*args, **kwargs)


class AppleTensor(Tensor):
    """A tensor that says it is on "mps"; its values are `held`, on the CPU."""

    held: Tensor
    device = MPS  # torch itself is told "meta", which every build of it can index  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def __new__(cls, held: Tensor) -> AppleTensor:
        if held.dtype in (torch.float64, torch.complex128):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")
        with torch.inference_mode(False):  # in that mode too, views of ordinary tensors are ordinary ones
            wrapper = Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
                cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=torch.device("meta")
            )
        wrapper.held = held
        return wrapper

    def __repr__(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return f"AppleTensor({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        raise RuntimeError(f"aten::{func.overloadpacket.__name__} on an Apple GPU without `with Apple()`")


def _run(func: Any, args: Sequence[Any], kwargs: dict[str, Any], ran: set[str]) -> Any:
    name = func.overloadpacket.__name__
    given = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = any(isinstance(x, AppleTensor) for x in given)
    device = kwargs.get("device")
    device = None if device is None else torch.device(device)
    wanted = device is not None and device.type in ("mps", "meta")
    if there and name not in ("copy_", "_to_copy"):
        strange = [x for x in given if not isinstance(x, AppleTensor) and x.ndim]
        if strange:
            raise RuntimeError(f"aten::{name}: expected all tensors on mps:0, but found one of {list(strange[0].shape)} on the CPU")
    if there and name == "_to_copy" and kwargs.get("dtype") == torch.float64:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")
    if there:
        ran.add(name)
        _refuse(name, given, args)
    if wanted:
        kwargs["device"] = torch.device("cpu")
    result = func(*pytree.tree_map(_held, args), **{key: pytree.tree_map(_held, value) for key, value in kwargs.items()})
    if not (wanted or (there and device is None)):
        return result
    if name.endswith("_") and not name.startswith("__"):
        if isinstance(args[0], AppleTensor):
            return args[0]
        return result
    return pytree.tree_map_only(Tensor, AppleTensor, result)


def _refuse(name: str, given: Sequence[Tensor], args: Sequence[Any]) -> None:
    if name in LACKING:
        raise NotImplementedError(f"The operator 'aten::{name}' is not currently implemented for the MPS device.")
    if name == "grid_sampler_2d" and (args[2] == 2 or args[3] == 1):
        raise RuntimeError("MPS: Unsupported Bicubic interpolation or Border padding mode")
    if name == "_adaptive_avg_pool2d":
        long = [n % m if n >= m else m % n for n, m in zip(given[0].shape[-2:], args[1], strict=True)]
        if any(long):
            raise RuntimeError("Adaptive pool MPS: input sizes must be divisible by output sizes.")


def _held(x: Any) -> Any:
    return x.held if isinstance(x, AppleTensor) else x
