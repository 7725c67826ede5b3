"""The paper once more, literally: formulas and loops on NumPy float64 arrays, without a line of the code under test.

Huang & Belongie (2017), "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization". Images and features
are [C, H, W], masks [H, W]. `Lite` and `VGG19` are this project's two networks written the same way; level 0 is
the linear Monge-Kantorovich map between the colours (Pitié & Kokaram 2007).
"""

from __future__ import annotations

import numpy as np

EPS = 1e-5
COLOR_EPS = 1e-4


# Statistics


def mean(x, mask):
    """The mean, equation 5, each pixel counted as often as its mask says."""
    return np.array([(channel * mask).sum() / mask.sum() for channel in x])


def deviation(x, mask, correction=0):
    """The standard deviation, equation 6."""
    mu = mean(x, mask)
    return np.array([np.sqrt((mask * (x[c] - mu[c]) ** 2).sum() / (mask.sum() - correction) + EPS) for c in range(len(x))])


def covariance(x, mask):
    mu = mean(x, mask)
    total = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            total[i, j] = (mask * (x[i] - mu[i]) * (x[j] - mu[j])).sum() / mask.sum()
    return total + COLOR_EPS * np.eye(len(x))


def square_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values)) @ vectors.T


def monge_kantorovich(source, target):
    """The symmetric positive A with A source A = target: the geometric mean of `target` and the inverse of `source`."""
    root = square_root(target)
    inner = np.linalg.inv(root) @ np.linalg.inv(source) @ np.linalg.inv(root)
    return root @ square_root(inner) @ root


# The pipeline


def adain(x, mu_x, sigma_x, mu_y, sigma_y):
    """AdaIN itself, equation 8."""
    out = np.empty_like(x)
    for c in range(len(x)):
        out[c] = sigma_y[c] * (x[c] - mu_x[c]) / sigma_x[c] + mu_y[c]
    return out


def stylize(network, content, styles, shares=None, alpha=1.0, masks=None, measured=None):
    """One picture [3, H, W] (not clamped) of `content` in the weighted mix of `styles`, or each style in its mask.

    Without masks: equation 15, T = g((1 - alpha) f(c) + alpha sum_k w_k AdaIN(f(c), f(s_k))), and equation 14 is the case of one
    style. With masks (one for each style, summing to 1) style k applies where mask k is, with statistics of the content under
    mask k (or `measured` k, if given).
    """
    height, width = content.shape[1:]
    everywhere = np.ones((height, width))
    if masks is None:
        masks = measured = [everywhere]
        mixes = [list(zip(shares or [1.0], styles, strict=True))]
    else:
        measured = measured or masks
        mixes = [[(1.0, style)] for style in styles]
    regions = list(zip(masks, measured, mixes, strict=True))
    codes = [[] for _ in regions]

    if network.color:
        recolored = np.zeros_like(content)
        for k, (mask, counted, mix) in enumerate(regions):
            mu, sigma = mean(content, counted), square_root(covariance(content, counted))
            mu_y, sigma_y = (1 - alpha) * mu, (1 - alpha) * sigma
            for share, style in mix:
                ones = np.ones(style.shape[1:])
                mu_y = mu_y + alpha * share * mean(style, ones)
                sigma_y = sigma_y + alpha * share * square_root(covariance(style, ones))
            a = monge_kantorovich(sigma @ sigma, sigma_y @ sigma_y)
            moved = np.einsum("ij,jhw->ihw", a, content - mu[:, None, None]) + mu_y[:, None, None]
            recolored += mask * moved
            codes[k] += [mu_y, sigma_y.ravel()]
        content = np.clip(recolored, -0.5, 1.5)

    padded = pad(content, network.stride)
    features = network.encode(padded)
    encoded = [network.encode(pad(style, network.stride)) for mix in mixes for _, style in mix]
    styled = []
    for level, (x, stride) in enumerate(zip(features, network.strides, strict=True)):
        valid = tuple(-(-n // stride) for n in (height, width))
        out = np.zeros_like(x)
        remaining = iter(encoded)
        for k, (mask, counted, mix) in enumerate(regions):
            own_mask = shrink(counted, stride, valid)
            inside = x[:, : valid[0], : valid[1]]
            mu, sigma = mean(inside, own_mask), deviation(inside, own_mask, network.correction)
            t = (1 - alpha) * x
            mu_y, sigma_y = (1 - alpha) * mu, (1 - alpha) * sigma
            for share, style in mix:
                seen = next(remaining)[level][:, : -(-style.shape[1] // stride), : -(-style.shape[2] // stride)]
                ones = np.ones(seen.shape[1:])
                mu_s, sigma_s = mean(seen, ones), deviation(seen, ones, network.correction)
                t = t + alpha * share * adain(x, mu, sigma, mu_s, sigma_s)
                mu_y, sigma_y = mu_y + alpha * share * mu_s, sigma_y + alpha * share * sigma_s
            where = shrink(pad(mask[None], network.stride)[0], stride, x.shape[1:])
            out += where * t
            codes[k] += [mu_y, sigma_y]
        styled.append(out)

    padded_masks = [pad(mask[None], network.stride)[0] for mask in masks]
    out = network.decode(padded, styled, [np.concatenate(code) for code in codes], padded_masks)
    return out[:, :height, :width]


# Layers


def pad(x, stride):
    """The image [C, H, W] grown at the right and bottom: mirrored at the last pixel, then the mirrored first pixel repeated."""
    height, width = (max(2 * stride, -(-n // stride) * stride) for n in x.shape[1:])
    rows = [mirror(i, x.shape[1]) for i in range(height)]
    columns = [mirror(j, x.shape[2]) for j in range(width)]
    return x[:, rows][:, :, columns]


def mirror(i, n):
    return i if i < n else max(0, 2 * (n - 1) - i)


def shrink(mask, stride, size):
    """Means of cells of `stride` pixels; a cell that leaves the image counts the pixels that it has."""
    out = np.empty(size)
    for i in range(size[0]):
        for j in range(size[1]):
            out[i, j] = mask[i * stride : (i + 1) * stride, j * stride : (j + 1) * stride].mean()
    return out


def convolution(x, weight, bias, stride=1):
    """A convolution, whose borders are reflected for 3x3 kernels."""
    k = weight.shape[-1]
    grown = np.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2)], mode="reflect")
    height, width = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    out = np.zeros((len(weight), height, width))
    for i in range(k):
        for j in range(k):
            window = grown[:, i : i + x.shape[1] : stride, j : j + x.shape[2] : stride]
            out += np.tensordot(weight[:, :, i, j], window, 1)
    return out + bias[:, None, None]


def leaky(x):
    return np.where(x < 0, 0.1 * x, x)


def relu(x):
    return np.maximum(x, 0)


def pool(x):
    return np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]).max(0)


def upsample(x):
    return x.repeat(2, 1).repeat(2, 2)


class Network:
    """A network: weights by the names of the model file."""

    def __init__(self, state):
        self.state = {key: value.double().numpy() for key, value in state.items()}

    def conv(self, name, x, stride=1):
        return convolution(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], stride)


class VGG19(Network):
    color, stride, strides, correction = False, 8, (8,), 1

    def encode(self, x):
        x = self.conv("encoder.rgb", x)
        for block in (["conv1_1", "conv1_2"], ["conv2_1", "conv2_2"], ["conv3_1", "conv3_2", "conv3_3", "conv3_4"]):
            for name in block:
                x = relu(self.conv(f"encoder.{name}", x))
            x = pool(x)
        return [relu(self.conv("encoder.conv4_1", x))]

    def decode(self, image, features, codes, masks):
        x = upsample(relu(self.conv("decoder.conv4_1", features[0])))
        for name in ("conv3_4", "conv3_3", "conv3_2", "conv3_1"):
            x = relu(self.conv(f"decoder.{name}", x))
        x = upsample(x)
        for name in ("conv2_2", "conv2_1"):
            x = relu(self.conv(f"decoder.{name}", x))
        x = relu(self.conv("decoder.conv1_2", upsample(x)))
        return self.conv("decoder.conv1_1", x)


class Lite(Network):
    color, stride, strides, correction = True, 8, (2, 4, 8), 0

    def encode(self, x):
        blocks = np.empty((12, x.shape[1] // 2, x.shape[2] // 2))
        for c in range(3):
            for i in range(2):
                for j in range(2):
                    blocks[4 * c + 2 * i + j] = x[c, i::2, j::2]
        half = leaky(self.conv("encoder.down2", blocks))
        quarter = leaky(self.conv("encoder.at4", leaky(self.conv("encoder.down4", half, 2))))
        eighth = leaky(self.conv("encoder.at8", leaky(self.conv("encoder.down8", quarter, 2))))
        return [half, quarter, eighth]

    def decode(self, image, features, codes, masks):
        half, quarter, x = features
        numbers = [self.state["modulation.weight"] @ code + self.state["modulation.bias"] for code in codes]

        def modulated(x):
            """The next 2 C numbers of each region scale and shift the C channels of `x` in that region."""
            nonlocal numbers
            width, stride = len(x), image.shape[1] // x.shape[1]
            out = np.zeros_like(x)
            for number, mask in zip(numbers, masks, strict=True):
                where = shrink(mask, stride, x.shape[1:])
                out += where * (x * (1 + number[:width, None, None]) + number[width : 2 * width, None, None])
            numbers = [number[2 * width :] for number in numbers]
            return out

        def residual(name, x):
            return x + self.conv(f"decoder.{name}.second", leaky(modulated(self.conv(f"decoder.{name}.first", x))))

        x = residual("second8", residual("first8", x))
        x = leaky(modulated(self.conv("decoder.up4", x)))
        x = leaky(modulated(self.conv("decoder.at4", upsample(x) + quarter)))
        x = residual("residual4", x)
        x = leaky(modulated(self.conv("decoder.up2", x)))
        x = leaky(modulated(self.conv("decoder.at2", upsample(x) + half)))
        x = self.conv("decoder.pixels", x)
        out = image.copy()
        for c in range(3):
            for i in range(2):
                for j in range(2):
                    out[c, i::2, j::2] += x[4 * c + 2 * i + j]
        return out
