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
    Layout layout;  // all directions are of one program
    std::vector<Buffer> packed, shared, partial;     // by direction
    std::vector<std::vector<double>> vector_totals;  // by direction, group and part
    std::vector<std::unique_ptr<Barrier>> barriers;  // by direction and group
    std::vector<std::unique_ptr<Barrier>> packing;   // by direction: all groups' threads
};

// The work of the parts from `part` on of one group's rows of one direction.
Job job_of(Work& work, int job, int part) {
    const Sequence& sequence = work.sequence;
    const int parts = work.division.parts, groups = work.division.groups, direction = job / groups;
    const Group group{job % groups, groups};
    const int64_t most = UnitSums::most_of(sequence.stages());
    float* sums = work.partial[direction].get() + group.number * parts * most * sequence.batch.rows;
    const Shared shared{work.packed[direction].get(), work.shared[direction].get(),
                        {sums, most, group.rows(sequence.batch.rows)}, work.vector_totals[job * parts + part].data()};
    return Job(sequence, sequence.directions[direction], work.layout, group, shared);
}

void pack_part(const Work& work, int direction, int part, int share, int shares) {
    const Sequence& sequence = work.sequence;
    pack(sequence.stages(), work.layout, sequence.directions[direction], sequence.features, part, share, shares,
         work.packed[direction].get());
}

void work_alone(Work& work) {
    const int parts = work.division.parts, directions = static_cast<int>(work.sequence.directions.size());
    for (int direction = 0; direction < directions; direction++) {
        for (int part = 0; part < parts; part++) pack_part(work, direction, part, 0, 1);
    }
    Share all;
    all.last = parts;
    for (int job = 0; job < directions * work.division.groups; job++) job_of(work, job, 0).run(all, parts);
}

void work_on(void* data, int rank, int size) {
    Work& work = *static_cast<Work*>(data);
    const int parts = work.division.parts, groups = work.division.groups;
    if (size != static_cast<int>(work.sequence.directions.size()) * groups * parts) {  // fewer came than were planned for
        if (rank == 0) work_alone(work);
        return;
    }
    const int job = rank / parts, part = rank % parts, direction = job / groups, group = job % groups;
    int epoch = 0;
    pack_part(work, direction, part, group, groups);
    if (groups > 1) work.packing[direction]->wait(group * parts + part, epoch);
    Share share;
    share.first = share.rank = part;
    share.last = part + 1;
    share.barrier = work.barriers[job].get();
    job_of(work, job, part).run(share, parts);
}

void copy_final_states(const Sequence& sequence) {
    const Program& program = *sequence.program;
    const Batch& batch = sequence.batch;
    batch.each_length([&](int64_t row, int64_t length) {
        for (const Direction& direction : sequence.directions) {
            const int64_t t = direction.turned ? 0 : length - 1;
            for (size_t i = 0; i < program.states.size(); i++) {
                const StateMemory& memory = direction.states[i];
                if (!memory.final) continue;
                const int64_t size = program.states[i];
                const float* from = length == 0      ? memory.initial + row * size
                                    : memory.history ? memory.all.at + (batch.start(t) + row) * memory.all.stride
                                                     : memory.all.at + ((t & 1) * batch.rows + row) * size;
                std::copy_n(from, size, memory.final + row * size);
            }
        }
    });
}

void run(const Sequence& sequence, Division division, int threads) {
    const Program& program = *sequence.program;
    const auto& stages = sequence.stages();
    const int directions = static_cast<int>(sequence.directions.size());
    const int64_t rows = sequence.batch.rows, most_sums = UnitSums::most_of(stages);
    Work work{sequence, division, lay_out(stages, division.parts, rows <= division.groups, sequence.features), {}, {}, {}, {}, {}, {}};
    for (const Stage& stage : stages) {
        for (size_t i = 0; sequence.features && i < stage.operands.size(); i++) {
            // Computed with a tile it would be one column of sixteen; it is read from memory that is not there.
            if (stage.operands[i].kind == Kind::linear && stage.per_row[i]) {
                throw std::invalid_argument("a number of the input product for all units cannot be computed with a tile");
            }
        }
    }
    int64_t shared = 0;
    if (sequence.pass == Pass::backward) {
        for (int width : program.temporaries) shared += width * rows;
    } else {
        for (const Array& array : program.arrays) shared += array.width * rows;
    }
    for (int direction = 0; direction < directions; direction++) {
        work.packed.push_back(allocate(work.layout.packed));
        work.shared.push_back(allocate(shared));
        work.partial.push_back(allocate(division.groups * division.parts * most_sums * rows));
        work.packing.push_back(division.groups > 1 ? std::make_unique<Barrier>(division.groups * division.parts) : nullptr);
        for (int group = 0; group < division.groups; group++) {
            work.barriers.push_back(division.parts > 1 ? std::make_unique<Barrier>(division.parts) : nullptr);
        }
    }
    int64_t vector_units = 0;
    for (int width : program.vector_gradients) vector_units += width;
    work.vector_totals.assign(directions * division.groups * division.parts, std::vector<double>(vector_units, 0.0));
    const int wanted = directions * division.groups * division.parts;
    if (std::min(threads, wanted) > 1) {
        run_team(std::min(threads, wanted), work_on, &work);
    } else {
        work_alone(work);
    }
    if (sequence.pass == Pass::backward) {
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

std::unique_ptr<PackedCell> pack_cell(const Program& program, const CellWeights& weights, Weights kind, int parts, bool plain);

extern const Kernels set;
#define SEQLOOM_TEXT_(name) #name
#define SEQLOOM_TEXT(name) SEQLOOM_TEXT_(name)
const Kernels set = {SEQLOOM_TEXT(SEQLOOM_ISA), LANES, run, built_in_epilogues, pack_cell};

}  // namespace seqloom::SEQLOOM_ISA
