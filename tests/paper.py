"""The paper once more, literally: formulas and loops on NumPy float64 arrays, without a line of the code under test.

Huang & Belongie (2017), "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization". Images and features
are [C, H, W], masks [H, W]. The networks of every architecture are written the same way, those of others from what their authors
publish; level 0 is the linear Monge-Kantorovich map between the colours (Pitié & Kokaram 2007).
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


def convolution(x, weight, bias, stride, borders):
    """A convolution by kernels of 3x3, or of 1x1, which see no borders."""
    k = weight.shape[-1]
    grown = np.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2)], mode=borders)
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


def pool(x, ceil):
    """Maxima of 2x2 pixels; pixels at the end without a partner count (`ceil`) or are left out."""
    odd = x.shape[1] % 2, x.shape[2] % 2
    if ceil:
        x = np.pad(x, [(0, 0), (0, odd[0]), (0, odd[1])], constant_values=-np.inf)
    else:
        x = x[:, : x.shape[1] - odd[0], : x.shape[2] - odd[1]]
    return np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]).max(0)


def upsample(x):
    return x.repeat(2, 1).repeat(2, 2)


def smooth(x):
    """An image of twice the size: along each axis a new pixel is three quarters of the nearest one and a quarter of the next."""
    for axis in (1, 2):
        x = np.moveaxis(x, axis, 0)
        before, after = np.concatenate([x[:1], x[:-1]]), np.concatenate([x[1:], x[-1:]])
        x = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], 1).reshape(-1, *x.shape[1:])
        x = np.moveaxis(x, 0, axis)
    return x


def blocks(x):
    """[C, H, W] to [4 C, H / 2, W / 2]: the four pixels of each 2x2 block, as channels."""
    return np.stack([x[c, i::2, j::2] for c in range(len(x)) for i in (0, 1) for j in (0, 1)])


def pixels(x):
    """The inverse of `blocks`."""
    out = np.empty((len(x) // 4, 2 * x.shape[1], 2 * x.shape[2]))
    for channel, part in enumerate(x):
        c, i, j = channel // 4, channel // 2 % 2, channel % 2
        out[c, i::2, j::2] = part
    return out


class Network:
    """Weights by the names of the model file."""

    borders = "reflect"

    def __init__(self, state):
        self.state = {key: value.double().numpy() for key, value in state.items()}

    def conv(self, name, x, stride=1):
        return convolution(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], stride, self.borders)

    def relu_layers(self, part, names, x):
        for name in names.split():
            x = relu(self.conv(f"{part}.{name}", x))
        return x


class AroundVGG(Network):
    """Simonyan & Zisserman's VGG-19 to relu4_1, which is the only level."""

    color, stride, strides, correction = False, 8, (8,), 0
    ceil = False

    def relu4_1(self, x):
        for names in ("conv1_1 conv1_2", "conv2_1 conv2_2", "conv3_1 conv3_2 conv3_3 conv3_4"):
            x = pool(self.relu_layers("encoder", names, x), self.ceil)
        return [self.relu_layers("encoder", "conv4_1", x)]


class VGG19(AroundVGG):
    """The paper's network as naoto0804/pytorch-AdaIN publishes it: a 1x1 convolution first, pools that round up, `torch.var`."""

    correction = 1
    ceil = True

    def encode(self, x):
        return self.relu4_1(self.conv("encoder.rgb", x))

    def decode(self, image, features, codes, masks):
        x = upsample(self.relu_layers("decoder", "conv4_1", features[0]))
        x = upsample(self.relu_layers("decoder", "conv3_4 conv3_3 conv3_2 conv3_1", x))
        x = upsample(self.relu_layers("decoder", "conv2_2 conv2_1", x))
        return self.conv("decoder.conv1_1", self.relu_layers("decoder", "conv1_2", x))


class Kuko6(AroundVGG):
    """kuko6/style-transfer: torchvision's VGG-19, pictures normalised as for ImageNet, in and (by a tanh) out."""

    mean = np.array([0.485, 0.456, 0.406])[:, None, None]
    std = np.array([0.229, 0.224, 0.225])[:, None, None]

    def encode(self, x):
        return self.relu4_1((x - self.mean) / self.std)

    def decode(self, image, features, codes, masks):
        x = self.relu_layers("decoder", "conv4_1", upsample(features[0]))
        x = self.relu_layers("decoder", "conv3_2 conv3_1", upsample(x))
        x = self.relu_layers("decoder", "conv2_2 conv2_1 conv1_2", upsample(x))
        return np.tanh(self.conv("decoder.conv1_1", x)) * self.std + self.mean


class Keras(AroundVGG):
    """The Keras example (keras-io/AdaIN): padding "same", which is zeros, RGB in 0..1 as it is, and a sigmoid at the end."""

    borders = "constant"

    def encode(self, x):
        return self.relu4_1(x)

    def decode(self, image, features, codes, masks):
        x = upsample(self.relu_layers("decoder", "first", features[0]))
        x = upsample(self.relu_layers("decoder", "second third fourth fifth", x))
        x = upsample(self.relu_layers("decoder", "sixth seventh", x))
        return 1 / (1 + np.exp(-self.conv("decoder.ninth", self.relu_layers("decoder", "eighth", x))))


class Modulated(Network):
    """What this project's own networks have in common: a level 0, and affine maps for the layers of the decoder."""

    color, correction = True, 0

    def encode(self, x):
        half = leaky(self.conv("encoder.down2", blocks(x)))
        quarter = leaky(self.conv("encoder.at4", leaky(self.conv("encoder.down4", half, 2))))
        eighth = leaky(self.conv("encoder.at8", leaky(self.conv("encoder.down8", quarter, 2))))
        return [half, quarter, eighth]

    def decode(self, image, features, codes, masks):
        numbers = [self.numbers(code) for code in codes]

        def modulated(name, x):
            """The next 2 C numbers of each region scale and shift the C channels of a layer in that region."""
            nonlocal numbers
            x = self.conv(f"decoder.{name}", x)
            width, stride = len(x), image.shape[1] // x.shape[1]
            out = np.zeros_like(x)
            for number, mask in zip(numbers, masks, strict=True):
                where = shrink(mask, stride, x.shape[1:])
                out += where * (x * (1 + number[:width, None, None]) + number[width : 2 * width, None, None])
            numbers = [number[2 * width :] for number in numbers]
            return leaky(out)

        def residual(name, x):
            return x + self.conv(f"decoder.{name}.second", modulated(f"{name}.first", x))

        out = image + self.residue(image, features, modulated, residual)
        assert not any(len(number) for number in numbers)
        return out


class Lite(Modulated):
    stride, strides = 8, (2, 4, 8)

    def numbers(self, code):
        return self.state["modulation.weight"] @ code + self.state["modulation.bias"]

    def residue(self, image, features, modulated, residual):
        half, quarter, x = features
        x = modulated("up4", residual("second8", residual("first8", x)))
        x = residual("residual4", modulated("at4", upsample(x) + quarter))
        x = modulated("at2", upsample(modulated("up2", x)) + half)
        return pixels(self.conv("decoder.pixels", x))


class Base(Modulated):
    stride, strides = 16, (2, 4, 8, 16)

    def encode(self, x):
        finer = super().encode(x)
        return [*finer, leaky(self.conv("encoder.at16", leaky(self.conv("encoder.down16", finer[-1], 2))))]

    def numbers(self, code):
        return self.state["modulation.weight"] @ (self.state["code.weight"] @ code) + self.state["modulation.bias"]

    def residue(self, image, features, modulated, residual):
        half, quarter, eighth, x = features
        x = modulated("up8", residual("blocks16.0", x))
        x = residual("blocks8.1", residual("blocks8.0", smooth(x) + eighth))
        x = modulated("at4", smooth(modulated("up4", x)) + quarter)
        x = residual("blocks4.2", residual("blocks4.1", residual("blocks4.0", x)))
        x = modulated("at2", smooth(modulated("up2", x)) + half)
        return self.conv("decoder.pixels", np.concatenate([pixels(leaky(self.conv("decoder.thin", x))), image]))
