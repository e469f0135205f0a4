#include "stack.h"

#include <algorithm>

namespace seqloom {
namespace {

// Below this, waking a second thread takes longer than what it would do.
constexpr int64_t kWorthwhile = 2'000'000;

int team_of(int threads, int64_t arithmetic) {
    return threads > 1 && arithmetic >= kWorthwhile && has_team() && !crowded() ? threads : 1;
}

}  // namespace

struct Stack::Region {
    Stack& stack;
    RowsOverTime x, out;
    int64_t time;
    Barrier* barrier;
    int team;
};

Stack::Stack(const std::vector<const PackedCell*>& packed, int64_t rows, bool residual, int threads)
    : batch(rows), features(packed.front()->features()), units(packed.back()->program().states[0]), cells(packed),
      threads_(std::min(threads, packed.front()->parts())) {
    for (const PackedCell* cell : packed) {
        for (int size : cell->program().rows) {
            if (size != cell->features()) throw std::invalid_argument("a stream's hoisted values can be its input only");
        }
        const bool adds = residual && !layers.empty() && cell->features() == cell->program().states[0];
        residual_.push_back(adds);
        layers.push_back(cell->begin(rows, threads_));
        arithmetic_ += cell->arithmetic() * rows;
        between_stride_ = std::max<int64_t>(between_stride_, cell->program().states[0]);
    }
    block_ = layers.front()->block_steps();
    if (layers.size() > 1) {
        for (auto& memory : between_) memory.resize(block_ * rows * between_stride_);
    }
}

// What one thread does: a block of steps through all layers, then the next block.
void Stack::work(const Region& region, Share share) {
    const int parts = cells.front()->parts();
    share.first = parts * share.worker / region.team;
    share.last = parts * (share.worker + 1) / region.team;
    for (int64_t done = 0; done < region.time; done += block_) {
        RowsOverTime below{region.x.at + done * region.x.time, region.x.time, region.x.row};
        for (size_t l = 0; l < layers.size(); l++) {
            Passage passage;
            passage.batch.time = std::min(block_, region.time - done);
            passage.batch.rows = batch;
            passage.residual = residual_[l];
            passage.x = below;
            passage.out = l + 1 < layers.size()
                              ? RowsOverTime{between_[l % 2].data(), batch * between_stride_, between_stride_}
                              : RowsOverTime{region.out.at + done * region.out.time, region.out.time, region.out.row};
            passage.leaves.assign(cells[l]->program().rows.size(), below);  // the input itself
            layers[l]->run(passage, share);
            share.wait();
            if (share.worker == 0) layers[l]->advance(passage.batch.time);
            below = passage.out;
        }
        share.wait();
    }
}

void Stack::enter(void* data, int rank, int size) {
    Region region = *static_cast<Region*>(data);
    const bool together = size == region.team && size > 1;
    if (!together && rank > 0) return;
    if (!together) region.team = 1;
    Share share;
    share.worker = share.rank = rank;
    share.barrier = together ? region.barrier : nullptr;
    region.stack.work(region, share);
}

void Stack::run(const RowsOverTime& x, const RowsOverTime& out, int64_t time) {
    const int team = team_of(threads_, arithmetic_ * time);
    if (team == 1) {
        Region region{*this, x, out, time, nullptr, 1};
        return work(region, Share{});
    }
    Barrier barrier(team);
    Region region{*this, x, out, time, &barrier, team};
    run_team(team, enter, &region);
}

namespace {

struct Directions {
    const std::vector<Recurrence*>& recurrences;
    const std::vector<Passage>& passages;
    std::vector<std::unique_ptr<Barrier>> barriers;
    int parts, team;
};

void enter_directions(void* data, int rank, int size) {
    Directions& work = *static_cast<Directions*>(data);
    const int directions = static_cast<int>(work.recurrences.size());
    if (size != directions * work.team || size == 1) {  // on one thread, also where fewer came than were asked for
        for (int d = 0; d < directions && rank == 0; d++) {
            Share share;
            share.last = work.parts;
            work.recurrences[d]->run(work.passages[d], share);
        }
        return;
    }
    const int d = rank / work.team;
    Share share;
    share.worker = share.rank = rank % work.team;
    share.first = work.parts * share.worker / work.team;
    share.last = work.parts * (share.worker + 1) / work.team;
    share.barrier = work.barriers[d].get();
    work.recurrences[d]->run(work.passages[d], share);
}

}  // namespace

void run_directions(const std::vector<Recurrence*>& recurrences, const std::vector<Passage>& passages, int parts,
                    int64_t arithmetic, int threads) {
    const int directions = static_cast<int>(recurrences.size());
    const int64_t time = passages[0].batch.time;
    const int wanted = team_of(threads, arithmetic * time * directions);
    // A step shorter than about two microseconds is not worth a barrier.
    const int team = wanted / directions > 1 && arithmetic >= 100'000 ? std::min(parts, wanted / directions) : 1;
    Directions work{recurrences, passages, {}, parts, team};
    for (int d = 0; d < directions; d++) work.barriers.push_back(team > 1 ? std::make_unique<Barrier>(team) : nullptr);
    run_team(wanted >= directions ? directions * team : 1, enter_directions, &work);
    for (Recurrence* recurrence : recurrences) recurrence->advance(time);
}

}  // namespace seqloom
