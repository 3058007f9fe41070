// SPDX-License-Identifier: MIT
#include "relax/lbfgs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "errors.hpp"
#include "relax/vector.hpp"

namespace camlip {
namespace {

// A stiff bond has a curvature of 70 eV/A^2: a first guess that is not too long.
constexpr double kInitial = 1.0 / 70;
constexpr double kLongestInitial = 1.0;
constexpr double kDecrease = 0.1;  // of the value, by the slope; also delta of Hager and Zhang
constexpr int kMaxTrials = 12;
constexpr double kMinCurvature = 1e-8;  // s . y / |s| |y|
// Pairs are 48 bytes per atom.
constexpr std::size_t kMany = 300000;
constexpr std::size_t kPairs = 20, kPairsOfMany = 8;

// Minimum of the cubic through value and slope at 0 and at a.
double cubic_minimum(double a, double value0, double slope0, double value, double slope) {
    const double d1 = slope0 + slope - 3 * (value - value0) / a;
    const double d2 = std::sqrt(std::max(0.0, d1 * d1 - slope0 * slope));
    return a * (1 - (slope + d2 - d1) / (slope - slope0 + 2 * d2));
}

}  // namespace

Lbfgs::Lbfgs(std::size_t size)
    : size_(size), capacity_(size > kMany ? kPairsOfMany : kPairs), initial_(kInitial) {
    steps_.resize(capacity_ * size);
    changes_.resize(capacity_ * size);
    curvature_.resize(capacity_);
    coefficients_.resize(capacity_);
    direction_.resize(size);
    trial_.x.resize(size);
    trial_.gradient.resize(size);
}

void Lbfgs::forget() {
    count_ = 0;
    initial_ = kInitial;
}

void Lbfgs::find_direction(const std::vector<double>& gradient) {
    for (std::size_t n = 0; n < size_; ++n) direction_[n] = -gradient[n];
    for (std::size_t age = 0; age < count_; ++age) {
        const std::size_t m = (newest_ + capacity_ - age) % capacity_;
        coefficients_[m] = curvature_[m] * dot(&steps_[m * size_], direction_.data(), size_);
        add(-coefficients_[m], &changes_[m * size_], direction_);
    }
    scale(initial_, direction_);
    for (std::size_t age = count_; age-- > 0;) {
        const std::size_t m = (newest_ + capacity_ - age) % capacity_;
        const double b = curvature_[m] * dot(&changes_[m * size_], direction_.data(), size_);
        add(coefficients_[m] - b, &steps_[m * size_], direction_);
    }
}

bool Lbfgs::step(Objective& objective, Point& point) {
    for (;;) {
        find_direction(point.gradient);
        double slope = dot(direction_, point.gradient);
        if (slope < 0) {
            const double factor = objective.step_factor(direction_.data());
            scale(factor, direction_);
            if (search(objective, point, factor * slope)) return true;
        }
        if (count_ == 0) break;
        forget();  // and try once more, along the forces
    }
    point.value = objective.evaluate(point.x.data(), point.gradient.data());
    return false;
}

bool Lbfgs::search(Objective& objective, Point& point, double slope0) {
    double a = 1;
    for (int trial = 0; trial < kMaxTrials; ++trial) {
        trial_.x = point.x;
        add(a, direction_, trial_.x);
        double slope = 0;
        try {
            trial_.value = objective.evaluate(trial_.x.data(), trial_.gradient.data());
            slope = dot(trial_.gradient, direction_);
        } catch (const NumericError&) {
            trial_.value = std::numeric_limits<double>::infinity();
        }
        const bool lower = trial_.value <= point.value + kDecrease * a * slope0;
        // A shorter step must also have changed the slope: else forces and energies disagree.
        const bool flat = trial_.value <= point.value + objective.noise() &&
                          slope <= (2 * kDecrease - 1) * slope0 &&
                          (trial == 0 || slope >= (1 - kDecrease) * slope0);
        if (lower || flat) {
            remember(point);
            point.x.swap(trial_.x);
            point.gradient.swap(trial_.gradient);
            point.value = trial_.value;
            return true;
        }
        const double next = std::isfinite(trial_.value)
                                ? cubic_minimum(a, point.value, slope0, trial_.value, slope)
                                : 0;
        a = std::isfinite(next) ? std::min(std::max(next, 0.1 * a), 0.5 * a) : 0.5 * a;
    }
    return false;
}

void Lbfgs::remember(const Point& point) {
    const std::size_t m = count_ == 0 ? 0 : (newest_ + 1) % capacity_;
    double* s = &steps_[m * size_];
    double* y = &changes_[m * size_];
    for (std::size_t n = 0; n < size_; ++n) {
        s[n] = trial_.x[n] - point.x[n];
        y[n] = trial_.gradient[n] - point.gradient[n];
    }
    const double sy = dot(s, y, size_), ss = dot(s, s, size_), yy = dot(y, y, size_);
    if (!(sy > kMinCurvature * std::sqrt(ss * yy))) {
        // Downhill where the surface bends the other way: no model of it, but longer steps.
        if (count_ == 0) initial_ = std::min(2 * initial_, kLongestInitial);
        return;
    }
    curvature_[m] = 1 / sy;
    initial_ = sy / yy;
    newest_ = m;
    count_ = std::min(count_ + 1, capacity_);
}

}  // namespace camlip
