// SPDX-License-Identifier: MIT
#include "relax/fire.hpp"

#include <algorithm>
#include <cmath>

#include "errors.hpp"
#include "relax/vector.hpp"

namespace camlip {
namespace {

// Times in Angstrom / eV^(1/2), for unit masses; the ratios are those of the paper.
constexpr double kTimeStep = 0.1;
constexpr double kLongestTimeStep = 10 * kTimeStep;
constexpr double kShortestTimeStep = 0.02 * kTimeStep;
constexpr double kGrow = 1.1;
constexpr double kShrink = 0.5;
constexpr double kMixing = 0.25;
constexpr double kMixingDecay = 0.99;
constexpr int kDelay = 20;       // downhill steps before the time step grows
constexpr int kMaxUphill = 2000; // in a row: there is no way down
constexpr int kMaxRetries = 8;

}  // namespace

Fire::Fire(std::size_t size)
    : velocity_(size, 0.0),
      move_(size, 0.0),
      before_(size, 0.0),
      time_step_(kTimeStep),
      mixing_(kMixing) {}

bool Fire::step(Objective& objective, Point& point) {
    const std::size_t size = velocity_.size();
    std::fill(move_.begin(), move_.end(), 0.0);
    if (started_) {
        if (dot(point.gradient, velocity_) < 0) {
            ++downhill_;
            uphill_ = 0;
            if (downhill_ > kDelay) {
                time_step_ = std::min(kGrow * time_step_, kLongestTimeStep);
                mixing_ *= kMixingDecay;
            }
        } else {
            downhill_ = 0;
            if (++uphill_ > kMaxUphill) return false;
            time_step_ = std::max(kShrink * time_step_, kShortestTimeStep);
            mixing_ = kMixing;
            for (std::size_t n = 0; n < size; ++n) move_[n] = -0.5 * time_step_ * velocity_[n];
            scale(objective.step_factor(move_.data()), move_);
            std::fill(velocity_.begin(), velocity_.end(), 0.0);
        }
    }
    started_ = true;
    before_ = point.x;

    // A step onto another atom has no energy: go back, and slower.
    for (int retry = 0;; ++retry) {
        add(-time_step_, point.gradient, velocity_);
        const double force = norm(point.gradient);
        const double along = force > 0 ? mixing_ * norm(velocity_) / force : 0;
        for (std::size_t n = 0; n < size; ++n)
            velocity_[n] = (1 - mixing_) * velocity_[n] - along * point.gradient[n];
        add(time_step_, velocity_, move_);
        add(objective.step_factor(move_.data()), move_, point.x);
        try {
            point.value = objective.evaluate(point.x.data(), point.gradient.data());
            return true;
        } catch (const NumericError&) {
            if (retry == kMaxRetries) throw;
        }
        point.x = before_;
        std::fill(move_.begin(), move_.end(), 0.0);
        std::fill(velocity_.begin(), velocity_.end(), 0.0);
        time_step_ = std::max(0.25 * time_step_, kShortestTimeStep);
        mixing_ = kMixing;
        downhill_ = 0;
        point.value = objective.evaluate(point.x.data(), point.gradient.data());
    }
}

}  // namespace camlip
