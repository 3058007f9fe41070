// SPDX-License-Identifier: MIT
// The smallest thing that can fail a C++ test: count failures, print where, go on.
//
//     #include "check.hpp"
//     TEST(sum_is_exact) { CHECK(1 + 1 == 2); CHECK_CLOSE(0.1 + 0.2, 0.3, 1e-15); }
//     int main() { return check::run(); }
#ifndef CAMLIP_TESTS_CHECK_HPP
#define CAMLIP_TESTS_CHECK_HPP

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <vector>

namespace check {

struct Test {
    const char* name;
    void (*body)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> list;
    return list;
}

inline int& failures() {
    static int count = 0;
    return count;
}

inline bool add(const char* name, void (*body)()) {
    tests().push_back({name, body});
    return true;
}

inline void fail(const char* file, int line, const char* what) {
    std::printf("%s:%d: %s\n", file, line, what);
    ++failures();
}

// |value - expected| <= tolerance; false for NaN.
inline void close(const char* file, int line, const char* what, double value, double expected,
                  double tolerance) {
    if (std::fabs(value - expected) <= tolerance) return;
    std::printf("%s:%d: %s: found %.17g, expected %.17g within %g\n", file, line, what, value,
                expected, tolerance);
    ++failures();
}

// Largest difference over the largest expected value (at least 1e-3); infinite for NaN.
inline double gap(const std::vector<double>& found, const std::vector<double>& expected) {
    double most = 0, largest = 1e-3;
    for (std::size_t n = 0; n < expected.size(); ++n) {
        const double d = std::fabs(found[n] - expected[n]);
        most = d >= 0 ? std::fmax(most, d) : HUGE_VAL;
        largest = std::fmax(largest, std::fabs(expected[n]));
    }
    return most / largest;
}

// Runs every TEST; the exit status is 0 when all passed.
inline int run() {
    for (const Test& test : tests()) {
        const int before = failures();
        try {
            test.body();
        } catch (const std::exception& error) {
            fail(test.name, 0, error.what());
        }
        std::printf("%s %s\n", failures() == before ? "ok    " : "FAILED", test.name);
    }
    std::printf("%zu tests, %d failures\n", tests().size(), failures());
    return failures() == 0 && !tests().empty() ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                             \
    static void name();                                        \
    static const bool name##_added_ = check::add(#name, name); \
    static void name()
#define CHECK(condition) ((condition) ? (void)0 : check::fail(__FILE__, __LINE__, #condition))
#define CHECK_CLOSE(value, expected, tolerance) \
    check::close(__FILE__, __LINE__, #value, (value), (expected), (tolerance))
#define CHECK_THROWS(expression, exception)                                                      \
    do {                                                                                         \
        bool thrown_ = false;                                                                    \
        try {                                                                                    \
            expression;                                                                          \
        } catch (const exception&) {                                                             \
            thrown_ = true;                                                                      \
        }                                                                                        \
        if (!thrown_) check::fail(__FILE__, __LINE__, #expression " did not throw " #exception); \
    } while (false)

#endif
