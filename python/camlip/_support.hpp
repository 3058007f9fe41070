// SPDX-License-Identifier: MIT
// What the files of camlip._engine share: arrays, errors, structs of camlip.h, models.
#ifndef CAMLIP_PYTHON_SUPPORT_HPP
#define CAMLIP_PYTHON_SUPPORT_HPP

#include <camlip.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace camlip_python {

namespace py = pybind11;

using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Int32s = py::array_t<int32_t, py::array::c_style | py::array::forcecast>;
using Int64s = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

[[noreturn]] inline void raise(camlip_status status, const std::string& message) {
    static const char* const names[] = {"EngineError",  "ArgumentError",    "ModelFileError",
                                        "BackendError", "OutOfMemoryError", "ExchangeError",
                                        "NumericError", "InternalError"};
    const size_t index = static_cast<size_t>(status);
    const char* name = index < std::size(names) ? names[index] : names[0];
    py::object type = py::module_::import("camlip.errors").attr(name);
    PyErr_SetString(type.ptr(), message.c_str());
    throw py::error_already_set();
}

inline void check(camlip_status status) {
    if (status != CAMLIP_OK) {
        raise(status, camlip_last_error());
    }
}

inline void require(bool condition, const std::string& message) {
    if (!condition) {
        raise(CAMLIP_ERROR_ARGUMENT, message);
    }
}

template <class Struct>
Struct make() {
    Struct value;
    std::memset(&value, 0, sizeof value);
    value.struct_size = sizeof value;
    return value;
}

inline std::string shape_text(const py::array& array) {
    std::string text = "(";
    for (py::ssize_t i = 0; i < array.ndim(); ++i) {
        text += (i ? ", " : "") + std::to_string(array.shape(i));
    }
    return text + ")";
}

inline void require_rows(const Doubles& array, const char* name) {
    require(array.ndim() == 2 && array.shape(1) == 3,
            std::string(name) + ": shape " + shape_text(array) + ", expected (N, 3)");
}

inline void require_length(const py::array& array, const char* name, int64_t length) {
    require(array.ndim() == 1 && array.shape(0) == length, std::string(name) + ": shape " +
                                                               shape_text(array) + ", expected (" +
                                                               std::to_string(length) + ")");
}

using ModelHandle = std::shared_ptr<camlip_model>;

inline ModelHandle adopt(camlip_model* model) { return ModelHandle(model, camlip_model_free); }

struct Model {
    ModelHandle handle;

    static Model load(const std::string& path) {
        camlip_model* model = nullptr;
        camlip_status status;
        {
            py::gil_scoped_release release;
            status = camlip_model_load(path.c_str(), &model);
        }
        check(status);
        return {adopt(model)};
    }

    static Model from_bytes(const py::bytes& data, const std::string& name) {
        char* buffer = nullptr;
        py::ssize_t size = 0;
        PyBytes_AsStringAndSize(data.ptr(), &buffer, &size);
        camlip_model* model = nullptr;
        check(camlip_model_load_memory(buffer, static_cast<size_t>(size), name.c_str(), &model));
        return {adopt(model)};
    }

    py::dict info() const {
        auto info = make<camlip_model_info>();
        check(camlip_model_get_info(handle.get(), &info));
        py::dict result;
        result["cutoff"] = info.cutoff;
        result["num_types"] = info.num_types;
        result["num_layers"] = info.num_layers;
        result["exchange_width"] = info.exchange_width;
        result["atomic_numbers"] =
            std::vector<int32_t>(info.atomic_numbers, info.atomic_numbers + info.num_types);
        result["metadata_json"] = info.metadata_json;
        return result;
    }
};

}  // namespace camlip_python

#endif
