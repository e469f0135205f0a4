// Where tensors and arrays lie, without copying and without torch's headers. That they are float32 and of the right shapes
// is for the caller to check.
#pragma once
#include <nanobind/nanobind.h>

#include <stdexcept>
#include <vector>

#include "packed_cell.h"

namespace seqloom {

namespace nb = nanobind;

// The address of a tensor's first element; null for None.
template <class T>
T* address_of(nb::handle tensor) {
    if (tensor.is_none()) return nullptr;
    static PyObject* const data_ptr = PyUnicode_InternFromString("data_ptr");
    const nb::object address = nb::steal(PyObject_CallMethodNoArgs(tensor.ptr(), data_ptr));
    if (!address.is_valid()) throw nb::python_error();
    return static_cast<T*>(PyLong_AsVoidPtr(address.ptr()));
}

// Where the rows of a matrix lie, from an element on.
inline Place place_of(nb::handle tensor, int64_t row = 0, int64_t column = 0) {
    static PyObject* const stride = PyUnicode_InternFromString("stride");
    const nb::object strides = nb::steal(PyObject_CallMethodNoArgs(tensor.ptr(), stride));
    if (!strides.is_valid()) throw nb::python_error();
    if (!PyTuple_Check(strides.ptr()) || PyTuple_GET_SIZE(strides.ptr()) < 1) throw std::invalid_argument("no matrix but a number");
    const int64_t apart = PyLong_AsLongLong(PyTuple_GET_ITEM(strides.ptr(), 0));
    return {address_of<float>(tensor) + row * apart + column, apart};
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
