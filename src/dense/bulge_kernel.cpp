// The inner loops of bulge chasing, compiled for every instruction set and chosen when the program runs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "../src/dense/bulge_kernel.cpp"  // seen from include/
#include "bulge_kernel.hpp"

#include <cmath>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace eckart::dense::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Doubles = hn::CappedTag<double, 8>;
constexpr std::int64_t order = 64;

HWY_ATTR double sum_of_squares(const double* x, std::int64_t size) {
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i) sum += x[i] * x[i];
    return sum;
}

HWY_ATTR void Reflect(double* x, Reflector& h) {
    const double tail = sum_of_squares(x + 1, order - 1);
    h.v[0] = 1;
    if (tail == 0) {
        h.tau = 0;
        for (std::int64_t i = 1; i < order; ++i) h.v[i] = 0;
        return;
    }
    const double beta = -std::copysign(std::sqrt(x[0] * x[0] + tail), x[0]);
    h.tau = (beta - x[0]) / beta;
    const double scale = 1 / (x[0] - beta);
    for (std::int64_t i = 1; i < order; ++i) h.v[i] = x[i] * scale;
    x[0] = beta;
    for (std::int64_t i = 1; i < order; ++i) x[i] = 0;
}

/// The lower triangle is walked column by column in whole vectors; what the first vector of a column holds
/// above the diagonal belongs to other columns: it is masked out.
HWY_ATTR void ReflectDiagonal(double* d, std::int64_t height, const Reflector& h) {
    const Doubles tag;
    const std::int64_t lanes = static_cast<std::int64_t>(hn::Lanes(tag));
    alignas(64) double w[order] = {};
    for (std::int64_t j = 0; j < order; ++j) {
        const double* column = d + j * (height - 1);
        const auto vj = hn::Set(tag, h.v[j]);
        const std::int64_t first = j / lanes * lanes;
        // Strictly below the diagonal both ways, the diagonal once.
        const auto outside = hn::FirstN(tag, static_cast<std::size_t>(j - first));
        const auto on_or_above = hn::FirstN(tag, static_cast<std::size_t>(j - first + 1));
        auto a = hn::IfThenZeroElse(outside, hn::LoadU(tag, column + first));
        hn::Store(hn::MulAdd(a, vj, hn::Load(tag, w + first)), tag, w + first);
        auto dot = hn::Mul(hn::IfThenZeroElse(on_or_above, a), hn::Load(tag, h.v + first));
        for (std::int64_t i = first + lanes; i < order; i += lanes) {
            a = hn::LoadU(tag, column + i);
            hn::Store(hn::MulAdd(a, vj, hn::Load(tag, w + i)), tag, w + i);
            dot = hn::MulAdd(a, hn::Load(tag, h.v + i), dot);
        }
        w[j] += hn::GetLane(hn::SumOfLanes(tag, dot));
    }
    double wv = 0;
    for (std::int64_t i = 0; i < order; ++i) wv += w[i] * h.v[i];
    const double alpha = -0.5 * h.tau * h.tau * wv;
    for (std::int64_t i = 0; i < order; ++i) w[i] = h.tau * w[i] + alpha * h.v[i];
    for (std::int64_t j = 0; j < order; ++j) {
        double* column = d + j * (height - 1);
        const auto vj = hn::Set(tag, h.v[j]), wj = hn::Set(tag, w[j]);
        const std::int64_t first = j / lanes * lanes;
        const auto outside = hn::FirstN(tag, static_cast<std::size_t>(j - first));
        auto a = hn::LoadU(tag, column + first);
        auto changed = hn::NegMulAdd(hn::Load(tag, h.v + first), wj, a);
        changed = hn::NegMulAdd(hn::Load(tag, w + first), vj, changed);
        hn::BlendedStore(changed, hn::Not(outside), tag, column + first);
        for (std::int64_t i = first + lanes; i < order; i += lanes) {
            a = hn::NegMulAdd(hn::Load(tag, h.v + i), wj, hn::LoadU(tag, column + i));
            hn::StoreU(hn::NegMulAdd(hn::Load(tag, w + i), vj, a), tag, column + i);
        }
    }
}

/// One pass for L v, one that applies both reflectors to a column while it is in registers.
HWY_ATTR void ChaseBelow(double* l, std::int64_t height, const Reflector& h, Reflector& next) {
    const Doubles tag;
    const std::int64_t lanes = static_cast<std::int64_t>(hn::Lanes(tag));
    alignas(64) double u[order] = {};
    constexpr std::int64_t together = 4;  // columns
    for (std::int64_t j = 0; j < order; j += together) {
        const double* c = l + j * (height - 1);
        const auto v0 = hn::Set(tag, h.v[j]), v1 = hn::Set(tag, h.v[j + 1]), v2 = hn::Set(tag, h.v[j + 2]),
                   v3 = hn::Set(tag, h.v[j + 3]);
        for (std::int64_t i = 0; i < order; i += lanes) {
            auto sum = hn::MulAdd(hn::LoadU(tag, c + i), v0, hn::Load(tag, u + i));
            sum = hn::MulAdd(hn::LoadU(tag, c + (height - 1) + i), v1, sum);
            auto other = hn::Mul(hn::LoadU(tag, c + 2 * (height - 1) + i), v2);
            other = hn::MulAdd(hn::LoadU(tag, c + 3 * (height - 1) + i), v3, other);
            hn::Store(hn::Add(sum, other), tag, u + i);
        }
    }
    for (std::int64_t i = 0; i < order; ++i) u[i] *= h.tau;
    for (std::int64_t i = 0; i < order; ++i) l[i] -= u[i];
    Reflect(l, next);
    for (std::int64_t j = 1; j < order; ++j) {
        double* column = l + j * (height - 1);
        const auto vj = hn::Set(tag, h.v[j]);
        alignas(64) double c[order];
        auto dot = hn::Zero(tag), dot2 = hn::Zero(tag);
        for (std::int64_t i = 0; i < order; i += 2 * lanes) {
            const auto a = hn::NegMulAdd(hn::Load(tag, u + i), vj, hn::LoadU(tag, column + i));
            const auto b =
                hn::NegMulAdd(hn::Load(tag, u + i + lanes), vj, hn::LoadU(tag, column + i + lanes));
            dot = hn::MulAdd(a, hn::Load(tag, next.v + i), dot);
            dot2 = hn::MulAdd(b, hn::Load(tag, next.v + i + lanes), dot2);
            hn::Store(a, tag, c + i);
            hn::Store(b, tag, c + i + lanes);
        }
        const auto scaled = hn::Mul(hn::SumOfLanes(tag, hn::Add(dot, dot2)), hn::Set(tag, next.tau));
        for (std::int64_t i = 0; i < order; i += lanes)
            hn::StoreU(hn::NegMulAdd(hn::Load(tag, next.v + i), scaled, hn::Load(tag, c + i)), tag,
                       column + i);
    }
}

}  // namespace eckart::dense::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eckart::dense {

HWY_EXPORT(Reflect);
HWY_EXPORT(ReflectDiagonal);
HWY_EXPORT(ChaseBelow);

void reflect(double* x, Reflector& h) {
    HWY_DYNAMIC_DISPATCH(Reflect)(x, h);
}
void reflect_diagonal(double* d, std::int64_t height, const Reflector& h) {
    if (h.tau != 0) HWY_DYNAMIC_DISPATCH(ReflectDiagonal)(d, height, h);
}
void chase_below(double* l, std::int64_t height, const Reflector& h, Reflector& next) {
    HWY_DYNAMIC_DISPATCH(ChaseBelow)(l, height, h, next);
}

}  // namespace eckart::dense
#endif
