// SPDX-License-Identifier: GPL-2.0-only
// What LAMMPS calls when it loads mlipplugin.so.  The struct is LAMMPS' plugin interface
// (lammpsplugin.h), declared here because installed LAMMPS packages do not ship that header.
#include <cstdio>
#include <string>

#include "pair_mlip.h"

extern "C" {
// The C library interface is the same in every LAMMPS: safe to call before the versions agree.
int lammps_version(void* handle);
void lammps_error(void* handle, int error_type, const char* error_text);

struct lammpsplugin_t {
    const char* version;
    const char* style;
    const char* name;
    const char* info;
    const char* author;
    LAMMPS_NS::Pair* (*create)(LAMMPS_NS::LAMMPS*);  // a union of two creators in LAMMPS
    void* handle;
};
}

namespace {

constexpr const char* built_for = CAMLIP_LAMMPS_VERSION;

// "22 Jul 2025" -> 20250722, as lammps_version() counts.
int version_number(const std::string& text) {
    static const std::string months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int day = 0, year = 0;
    char month[4] = {};
    if (std::sscanf(text.c_str(), "%d %3s %d", &day, month, &year) != 3) return 0;
    return year * 10000 + (static_cast<int>(months.find(month) / 3) + 1) * 100 + day;
}

LAMMPS_NS::Pair* create(LAMMPS_NS::LAMMPS* lmp) {
    const int found = lammps_version(lmp);
    if (found != version_number(built_for)) {
        // The classes of two versions differ in memory: nothing of this LAMMPS can be touched.
        const int error_all = 2;
        lammps_error(lmp, error_all,
                     ("pair_style mlip: the plugin was built for LAMMPS " + std::string(built_for) +
                      " (" + std::to_string(version_number(built_for)) +
                      "), but this LAMMPS is version " + std::to_string(found) +
                      "; build it with -DLAMMPS_SOURCE_DIR= or -DLAMMPS_DIR= of this LAMMPS")
                         .c_str());
    }
    return new LAMMPS_NS::PairMLIP(lmp);
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void* lmp, void* handle,
                                                                         void* register_function) {
    lammpsplugin_t plugin{};
    plugin.version = built_for;
    plugin.style = "pair";
    plugin.name = "mlip";
    plugin.info = "machine-learned interatomic potentials of camlip";
    plugin.author = "the camlip developers";
    plugin.create = create;
    plugin.handle = handle;
    reinterpret_cast<void (*)(lammpsplugin_t*, void*)>(register_function)(&plugin, lmp);
}
