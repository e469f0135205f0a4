// Where tensors and arrays lie, without copying and without torch's headers. Every address that crosses the binding is made
// here, and a tensor is asked for its type, device, sign, strides and storage each time. That its shape is right is for the
// caller to check.
#pragma once
#include <nanobind/nanobind.h>

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

// The address of the first element of a tensor whose numbers lie as they read: of this type, in this process's memory, not
// negated when they are read. Null where there is no element.
template <class T>
T* start_of(nb::handle tensor) {
    static PyObject* const dtype = PyUnicode_InternFromString("dtype");
    static PyObject* const is_cpu = PyUnicode_InternFromString("is_cpu");
    static PyObject* const is_neg = PyUnicode_InternFromString("is_neg");
    static PyObject* const data_ptr = PyUnicode_InternFromString("data_ptr");
    static PyObject* const numel = PyUnicode_InternFromString("numel");
    const nb::object type = attribute_of(tensor, dtype);
    if (type.ptr() != torch_type<T>()) {
        refuse_tensor(tensor, "of " + std::string(nb::str(type).c_str()), nb::str(nb::handle(torch_type<T>())).c_str());
    }
    if (attribute_of(tensor, is_cpu).ptr() != Py_True) refuse_tensor(tensor, "on another device", "one on CPU");
    if (ask(tensor, is_neg).ptr() != Py_False) refuse_tensor(tensor, "that is negated when it is read", "resolve_neg() of it");
    void* const at = PyLong_AsVoidPtr(ask(tensor, data_ptr).ptr());
    if (!at && PyLong_AsLongLong(ask(tensor, numel).ptr()) != 0) refuse_tensor(tensor, "without memory", "one that has storage");
    return static_cast<T*>(at);
}

// The address of a tensor's first element, all of which lie one after the other; null for None.
template <class T>
T* address_of(nb::handle tensor) {
    if (tensor.is_none()) return nullptr;
    static PyObject* const is_contiguous = PyUnicode_InternFromString("is_contiguous");
    if (ask(tensor, is_contiguous).ptr() != Py_True) refuse_tensor(tensor, "with gaps between its numbers", "a contiguous one");
    return start_of<T>(tensor);
}

// Where the rows of a matrix lie, from an element on; the numbers of a row lie one after the other.
inline Place place_of(nb::handle tensor, int64_t row = 0, int64_t column = 0) {
    static PyObject* const stride = PyUnicode_InternFromString("stride");
    static PyObject* const shape = PyUnicode_InternFromString("shape");
    const nb::object strides = ask(tensor, stride);
    if (!PyTuple_Check(strides.ptr()) || PyTuple_GET_SIZE(strides.ptr()) < 1) throw std::invalid_argument("no matrix but a number");
    const Py_ssize_t last = PyTuple_GET_SIZE(strides.ptr()) - 1;
    if (PyLong_AsLongLong(PyTuple_GET_ITEM(strides.ptr(), last)) != 1) {
        const nb::object sizes = attribute_of(tensor, shape);
        if (PyLong_AsLongLong(PyTuple_GET_ITEM(sizes.ptr(), last)) > 1) {
            refuse_tensor(tensor, "with gaps between the numbers of a row", "rows without gaps");
        }
    }
    const int64_t apart = PyLong_AsLongLong(PyTuple_GET_ITEM(strides.ptr(), 0));
    return {start_of<float>(tensor) + row * apart + column, apart};
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

// Where an array (B, T, D) lies whose numbers of a row and step are neighbours.
inline RowsOverTime rows_over_time(nb::handle array) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(array.ptr(), &buffer, PyBUF_STRIDES) != 0) throw nb::python_error();
    const bool good = buffer.ndim == 3 && buffer.itemsize == 4 && (buffer.strides[2] == 4 || buffer.shape[2] == 1);
    const RowsOverTime rows = good ? RowsOverTime{static_cast<const float*>(buffer.buf), buffer.strides[1] / 4, buffer.strides[0] / 4}
                                   : RowsOverTime{};
    PyBuffer_Release(&buffer);
    if (!good) throw std::invalid_argument("no array (B, T, D) of float32");
    return rows;
}

}  // namespace seqloom
