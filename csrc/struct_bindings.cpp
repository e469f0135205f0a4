// The structs in which Python says by name what lies where; it hands over tensors, whose addresses are taken here. A struct
// does not keep its tensors alive: whoever makes it does, until the kernels have returned.
#include "struct_bindings.h"

#include "tensors.h"

using namespace nanobind::literals;

namespace seqloom {

void bind_structs(nb::module_& module) {
    nb::class_<Place>(module, "Place")
        .def("__init__", [](Place* self, nb::handle tensor, int64_t row, int64_t column) {
            new (self) Place(place_of(tensor, row, column));
        }, "tensor"_a, "row"_a = 0, "column"_a = 0);
    nb::class_<Batch>(module, "Batch")
        .def("__init__", [](Batch* self, int64_t time, int64_t rows, nb::handle counts, nb::handle starts) {
            new (self) Batch{time, rows, address_of<const int64_t>(counts), address_of<const int64_t>(starts)};
        }, "time"_a, "rows"_a, "counts"_a = nb::none(), "starts"_a = nb::none());
    nb::class_<Division>(module, "Division")
        .def("__init__", [](Division* self, int groups, int parts) { new (self) Division{groups, parts}; },
             "groups"_a, "parts"_a);
    nb::class_<StateMemory>(module, "StateMemory")
        .def("__init__", [](StateMemory* self, nb::handle tensor, int64_t column, bool history, nb::handle initial, nb::handle final) {
            new (self) StateMemory{place_of(tensor, 0, column, true), history, address_of<const float>(initial), address_of<float>(final)};
        }, "tensor"_a, "column"_a, "history"_a, "initial"_a, "final"_a = nb::none());
    nb::class_<Direction>(module, "Direction")
        .def("__init__", [](Direction* self, bool turned, const Place& linear, const Place& x, const Place& weight, const Place& bias,
                            nb::handle rows, nb::handle vectors, nb::handle matrices, nb::handle states, nb::handle arrays,
                            const Place& output_gradient, const Place& gradient, nb::handle carries, nb::handle vector_gradients) {
            Direction direction;
            direction.turned = turned;
            direction.linear = linear;
            direction.x = x;
            direction.weight = weight;
            direction.bias = bias.at;
            direction.rows = places_of(rows);
            direction.vectors = addresses_of<const float>(vectors);
            direction.matrices = places_of(matrices);
            direction.states = each_of(states, [](nb::handle state) { return nb::cast<StateMemory>(state); });
            direction.arrays = addresses_of<float>(arrays);
            direction.output_gradient = output_gradient;
            direction.gradient = gradient;
            direction.carries = addresses_of<float>(carries);
            direction.vector_gradients = addresses_of<float>(vector_gradients);
            new (self) Direction(std::move(direction));
        }, "turned"_a, "linear"_a, "x"_a = Place{}, "weight"_a = Place{}, "bias"_a = Place{}, "rows"_a, "vectors"_a, "matrices"_a,
           "states"_a, "arrays"_a, "output_gradient"_a = Place{}, "gradient"_a = Place{}, "carries"_a = nb::tuple(),
           "vector_gradients"_a = nb::tuple());
    nb::class_<CellWeights>(module, "CellWeights")
        .def("__init__", [](CellWeights* self, int64_t features, nb::handle weight, nb::handle bias, nb::handle matrices,
                            nb::handle vectors) {
            CellWeights weights{features, place_of(weight), address_of<const float>(bias), places_of(matrices), addresses_of<const float>(vectors)};
            new (self) CellWeights(std::move(weights));
        }, "features"_a, "weight"_a, "bias"_a.none(), "matrices"_a, "vectors"_a);
    nb::class_<PackedDirection>(module, "PackedDirection")
        .def("__init__", [](PackedDirection* self, const Place& output, nb::handle leaves, nb::handle initial, nb::handle final) {
            PackedDirection direction{output, places_of(leaves), addresses_of<const float>(initial), addresses_of<float>(final)};
            new (self) PackedDirection(std::move(direction));
        }, "output"_a, "leaves"_a, "initial"_a, "final"_a);
}

}  // namespace seqloom
