// Where tensors and arrays lie, without copying and without torch's headers. Every address that crosses the binding is made
// here, and a tensor is asked for its type, device, sign, strides and storage each time; array_view.h, which takes arrays and
// tensors alike, asks here, too. That a tensor's shape is right is for the caller to check.
#pragma once
#include <nanobind/nanobind.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "packed_cell.h"

namespace seqloom {

namespace nb = nanobind;

inline nb::object attribute_of(nb::handle tensor, PyObject* name) {
    nb::object value = nb::steal(PyObject_GetAttr(tensor.ptr(), name));
    if (!value.is_valid()) throw nb::python_error();
    return value;
}
inline nb::object ask(nb::handle tensor, PyObject* method) {
    nb::object answer = nb::steal(PyObject_CallMethodNoArgs(tensor.ptr(), method));
    if (!answer.is_valid()) throw nb::python_error();
    return answer;
}

inline int64_t integer_of(PyObject* number) {
    const int64_t value = PyLong_AsLongLong(number);
    if (value == -1 && PyErr_Occurred()) throw nb::python_error();
    return value;
}

[[noreturn]] inline void refuse_tensor(nb::handle tensor, const std::string& found, const std::string& expected) {
    const std::string kind = Py_TYPE(tensor.ptr())->tp_name;
    throw std::invalid_argument("the kernels were given a " + kind + " " + found + "; expected " + expected);
}

// The torch type of the numbers that the kernels read or write.
template <class T>
PyObject* torch_type() {
    constexpr bool real = std::is_same_v<std::remove_const_t<T>, float>;
    static_assert(real || std::is_same_v<std::remove_const_t<T>, int64_t>);
    static PyObject* const type = nb::object(nb::module_::import_("torch").attr(real ? "float32" : "int64")).release().ptr();
    return type;
}

inline bool is_tensor(nb::handle object) {
    static PyTypeObject* const type =
        reinterpret_cast<PyTypeObject*>(nb::object(nb::module_::import_("torch").attr("Tensor")).release().ptr());
    return PyObject_TypeCheck(object.ptr(), type);
}
inline nb::object type_of(nb::handle tensor) {
    static PyObject* const dtype = PyUnicode_InternFromString("dtype");
    return attribute_of(tensor, dtype);
}
inline bool is_on_cpu(nb::handle tensor) {
    static PyObject* const is_cpu = PyUnicode_InternFromString("is_cpu");
    return attribute_of(tensor, is_cpu).ptr() == Py_True;
}
inline bool is_negated(nb::handle tensor) {
    static PyObject* const is_neg = PyUnicode_InternFromString("is_neg");
    return ask(tensor, is_neg).ptr() != Py_False;
}
// The one place where a tensor's address is taken. Null where there is no element.
inline void* memory_of(nb::handle tensor) {
    static PyObject* const data_ptr = PyUnicode_InternFromString("data_ptr");
    static PyObject* const numel = PyUnicode_InternFromString("numel");
    void* const at = PyLong_AsVoidPtr(ask(tensor, data_ptr).ptr());
    if (!at && PyErr_Occurred()) throw nb::python_error();
    if (!at && integer_of(ask(tensor, numel).ptr()) != 0) refuse_tensor(tensor, "without memory", "one that has storage");
    return at;
}

// The address of the first element of a tensor whose numbers lie as they read: of this type, in this process's memory, not
// negated when they are read.
template <class T>
T* start_of(nb::handle tensor) {
    if (!is_tensor(tensor)) refuse_tensor(tensor, "that is no tensor", nb::str(nb::handle(torch_type<T>())).c_str());
    const nb::object type = type_of(tensor);
    if (type.ptr() != torch_type<T>()) {
        refuse_tensor(tensor, "of " + std::string(nb::str(type).c_str()), nb::str(nb::handle(torch_type<T>())).c_str());
    }
    if (!is_on_cpu(tensor)) refuse_tensor(tensor, "on another device", "one on CPU");
    if (is_negated(tensor)) refuse_tensor(tensor, "that is negated when it is read", "resolve_neg() of it");
    return static_cast<T*>(memory_of(tensor));
}

// The address of a tensor's first element, all of which lie one after the other; null for None.
template <class T>
T* address_of(nb::handle tensor) {
    if (tensor.is_none()) return nullptr;
    T* const at = start_of<T>(tensor);
    static PyObject* const is_contiguous = PyUnicode_InternFromString("is_contiguous");
    if (ask(tensor, is_contiguous).ptr() != Py_True) refuse_tensor(tensor, "with gaps between its numbers", "a contiguous one");
    return at;
}

// Where the rows of a matrix lie, from an element on; the numbers of a row lie one after the other. Rows that are written
// (`apart`) are not one and the same. More than two dimensions are those of a contiguous tensor.
inline Place place_of(nb::handle tensor, int64_t row = 0, int64_t column = 0, bool apart = false) {
    static PyObject* const stride = PyUnicode_InternFromString("stride");
    static PyObject* const shape = PyUnicode_InternFromString("shape");
    float* const at = start_of<float>(tensor);
    const nb::object strides = ask(tensor, stride), sizes = attribute_of(tensor, shape);
    const Py_ssize_t dimensions = PyTuple_Check(strides.ptr()) ? PyTuple_GET_SIZE(strides.ptr()) : 0;
    if (dimensions < 1) refuse_tensor(tensor, "of no dimension", "a vector or a matrix");
    const auto step = [&](Py_ssize_t i) { return integer_of(PyTuple_GET_ITEM(strides.ptr(), i)); };
    const auto size = [&](Py_ssize_t i) { return integer_of(PyTuple_GET_ITEM(sizes.ptr(), i)); };
    if (step(dimensions - 1) != 1 && size(dimensions - 1) > 1) {
        refuse_tensor(tensor, "with gaps between the numbers of a row", "rows without gaps");
    }
    if (dimensions > 2) address_of<float>(tensor);
    if (apart && dimensions > 1 && size(0) > 1 && step(0) < size(dimensions - 1)) {
        refuse_tensor(tensor, "whose rows share memory", "rows of their own");
    }
    return {at + row * step(0) + column, step(0)};
}

// make(entry) of all entries of a list.
template <class Make>
auto each_of(nb::handle list, Make make) {
    const nb::object entries = nb::steal(PySequence_Fast(list.ptr(), "a list of tensors is expected"));
    if (!entries.is_valid()) throw nb::python_error();
    std::vector<decltype(make(nb::handle()))> made;
    made.reserve(PySequence_Fast_GET_SIZE(entries.ptr()));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(entries.ptr()); i++) {
        made.push_back(make(nb::handle(PySequence_Fast_GET_ITEM(entries.ptr(), i))));
    }
    return made;
}
template <class T>
std::vector<T*> addresses_of(nb::handle tensors) {
    return each_of(tensors, [](nb::handle tensor) { return address_of<T>(tensor); });
}
inline std::vector<Place> places_of(nb::handle tensors) {
    return each_of(tensors, [](nb::handle tensor) { return place_of(tensor); });
}

// Where an array of this shape lies, (B, T, D), whose numbers of a row and step are neighbours.
inline RowsOverTime rows_over_time(nb::handle array, int64_t batch, int64_t time, int64_t width, bool writable) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(array.ptr(), &buffer, writable ? PyBUF_RECORDS : PyBUF_RECORDS_RO) != 0) throw nb::python_error();
    const bool floats = buffer.ndim == 3 && buffer.format && std::strcmp(buffer.format, "f") == 0;
    const bool fits = floats && buffer.shape[0] == batch && buffer.shape[1] == time && buffer.shape[2] == width;
    const bool whole = fits && buffer.strides[0] % 4 == 0 && buffer.strides[1] % 4 == 0;
    const bool good = whole && (buffer.strides[2] == 4 || width == 1);
    const RowsOverTime rows = good ? RowsOverTime{static_cast<const float*>(buffer.buf), buffer.strides[1] / 4, buffer.strides[0] / 4}
                                   : RowsOverTime{};
    PyBuffer_Release(&buffer);
    if (!good) {
        throw std::invalid_argument("no array (" + std::to_string(batch) + ", " + std::to_string(time) + ", " +
                                    std::to_string(width) + ") of float32 without gaps between the numbers of a step");
    }
    return rows;
}

}  // namespace seqloom
