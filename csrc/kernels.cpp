// All that is compiled once per instruction set; SEQLOOM_ISA names it.
#include <algorithm>
#include <memory>
#include <stdexcept>

#include "job.h"

namespace seqloom::SEQLOOM_ISA {
namespace {

struct BuiltIn {
    uint64_t key;
    Epilogue epilogue;
};
#include "built_in.inc"

struct Work {
    const Sequence& sequence;
    Division division;
    std::vector<Layout> layouts;  // one: all directions are of one program
    std::vector<Buffer> packed, shared, partial;
    std::vector<std::vector<double>> vector_totals;     // by direction, group and part
    std::vector<std::unique_ptr<Barrier>> barriers;     // by direction and group
    std::vector<std::unique_ptr<Barrier>> packing;      // by direction: all groups' threads
};

void work_on(void* data, int rank, int size) {
    Work& work = *static_cast<Work*>(data);
    const Sequence& sequence = work.sequence;
    const auto& stages = sequence.program->passes[sequence.pass];
    const Layout& layout = work.layouts[0];
    const int parts = work.division.parts, groups = work.division.groups;
    const int jobs = static_cast<int>(sequence.directions.size()) * groups, planned = jobs * parts;
    const bool together = size == planned && size > 1;
    const int64_t sum_floats = parts * layout.most_sums * sequence.batch;
    auto run_job = [&](int job, int first, int last, Barrier* barrier, int barrier_rank) {
        const int direction = job / groups, group = job % groups;
        Job(sequence, sequence.directions[direction], layout, work.packed[direction].get(), group, groups,
            work.shared[direction].get(), work.vector_totals[job * parts + first].data())
            .run(first, last, barrier, barrier_rank, parts, work.partial[direction].get() + group * sum_floats);
    };
    if (!together) {  // on one thread, also where fewer came than were planned for
        if (rank > 0) return;
        for (size_t direction = 0; direction < sequence.directions.size(); direction++) {
            for (int part = 0; part < parts; part++) {
                pack(stages, layout, sequence.directions[direction], sequence.features, part, 0, 1, work.packed[direction].get());
            }
        }
        for (int job = 0; job < jobs; job++) run_job(job, 0, parts, nullptr, 0);
        return;
    }
    const int job = rank / parts, part = rank % parts, direction = job / groups, group = job % groups;
    int epoch = 0;
    pack(stages, layout, sequence.directions[direction], sequence.features, part, group, groups, work.packed[direction].get());
    if (groups > 1) work.packing[direction]->wait(group * parts + part, epoch);
    run_job(job, part, part + 1, work.barriers[job].get(), part);
}

void copy_final_states(const Sequence& sequence) {
    const Program& program = *sequence.program;
    for (int64_t row = 0, length = sequence.time; row < sequence.batch; row++) {
        while (length > 0 && sequence.count(length - 1) <= row) length--;
        for (const Direction& direction : sequence.directions) {
            const int64_t t = direction.turned ? 0 : length - 1;
            for (size_t i = 0; i < program.states.size(); i++) {
                const StateMemory& memory = direction.states[i];
                if (!memory.final) continue;
                const int64_t size = program.states[i];
                const float* from = length == 0      ? memory.initial + row * size
                                    : memory.history ? memory.all.at + (sequence.start(t) + row) * memory.all.stride
                                                     : memory.all.at + ((t & 1) * sequence.batch + row) * size;
                std::copy_n(from, size, memory.final + row * size);
            }
        }
    }
}

void run(const Sequence& sequence, Division division, int threads) {
    const Program& program = *sequence.program;
    const auto& stages = program.passes[sequence.pass];
    const int directions = static_cast<int>(sequence.directions.size());
    Work work{sequence, division, {}, {}, {}, {}, {}, {}, {}};
    const bool single_row = sequence.batch <= division.groups;
    work.layouts.push_back(lay_out(stages, division.parts, single_row, sequence.features));
    const Layout& layout = work.layouts[0];
    for (const Stage& stage : stages) {
        for (size_t i = 0; sequence.features && i < stage.streams.size(); i++) {
            // Computed with a tile it would be one column of sixteen; it is read from memory that is not there.
            if (stage.streams[i].kind == Kind::linear && stage.per_row[i]) {
                throw std::invalid_argument("a number of the input product for all units cannot be computed with a tile");
            }
        }
    }
    int64_t shared = 0;
    if (sequence.pass == backward_pass) {
        for (int width : program.temporaries) shared += width * sequence.batch;
    } else {
        for (const Array& array : program.arrays) shared += array.width * sequence.batch;
    }
    for (int direction = 0; direction < directions; direction++) {
        work.packed.push_back(allocate(layout.packed));
        work.shared.push_back(allocate(shared));
        work.partial.push_back(allocate(division.groups * division.parts * layout.most_sums * sequence.batch));
        work.packing.push_back(std::make_unique<Barrier>(division.groups * division.parts));
        for (int group = 0; group < division.groups; group++) {
            work.barriers.push_back(division.parts > 1 ? std::make_unique<Barrier>(division.parts) : nullptr);
        }
    }
    int64_t vector_units = 0;
    for (int width : program.vector_gradients) vector_units += width;
    work.vector_totals.assign(directions * division.groups * division.parts, std::vector<double>(vector_units, 0.0));
    const int wanted = directions * division.groups * division.parts;
    run_team(std::min(threads, wanted), work_on, &work);
    if (sequence.pass == backward_pass) {
        const size_t workers = division.groups * division.parts;
        for (size_t worker = 0; worker < work.vector_totals.size(); worker++) {
            const double* total = work.vector_totals[worker].data();
            const auto& gradients = sequence.directions[worker / workers].vector_gradients;
            for (size_t i = 0; i < gradients.size(); i++) {
                for (int u = 0; u < program.vector_gradients[i]; u++) gradients[i][u] += static_cast<float>(*total++);
            }
        }
    } else {
        copy_final_states(sequence);
    }
}

std::vector<std::pair<uint64_t, Epilogue>> built_in_epilogues() {
    std::vector<std::pair<uint64_t, Epilogue>> found;
    for (const BuiltIn& known : built_in) found.push_back({known.key, known.epilogue});
    return found;
}

}  // namespace

std::unique_ptr<PackedCell> pack_cell(const CellWeights& weights, Weights kind, int parts, bool plain);

extern const Kernels set;
#define SEQLOOM_TEXT_(name) #name
#define SEQLOOM_TEXT(name) SEQLOOM_TEXT_(name)
const Kernels set = {SEQLOOM_TEXT(SEQLOOM_ISA), LANES, run, built_in_epilogues, pack_cell};

}  // namespace seqloom::SEQLOOM_ISA
