#include "team.h"

#include <dlfcn.h>
#include <sched.h>

#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace seqloom {
namespace {

using Clock = std::chrono::steady_clock;
using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
using Number = int (*)();

struct Runtime {
    Parallel parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    Number rank = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
    Number size = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
    bool complete() const { return parallel && rank && size; }
};
const Runtime& runtime() {
    static const Runtime found;
    return found;
}

struct Call {
    void (*work)(void*, int, int);
    void* data;
    Clock::time_point finished;  // by the calling thread
};
void enter(void* argument) {
    Call& call = *static_cast<Call*>(argument);
    const int rank = runtime().rank();
    call.work(call.data, rank, runtime().size());
    if (rank == 0) call.finished = Clock::now();
}

// A thread that waits first spins (a step's stage takes microseconds), then lets others run.
constexpr int kSpins = 4000;
std::atomic<Clock::rep> crowded_until{0};

// For a while everything runs on one thread, then several are tried again.
void be_crowded() {
    const auto until = Clock::now() + std::chrono::milliseconds(40);
    crowded_until.store(until.time_since_epoch().count(), std::memory_order_relaxed);
}

inline void pause() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

}  // namespace

bool crowded() { return Clock::now().time_since_epoch().count() < crowded_until.load(std::memory_order_relaxed); }

void run_team(int threads, void (*work)(void*, int, int), void* data) {
    if (threads <= 1 || !runtime().complete() || crowded()) return work(data, 0, 1);
    const Clock::time_point begun = Clock::now();
    Call call{work, data, begun};
    runtime().parallel(enter, &call, static_cast<unsigned>(threads), 0);
    // All threads have the same work. One that comes in late by the scheduler's measure had no core of its own.
    const auto waited = Clock::now() - call.finished, worked = call.finished - begun;
    if (waited > std::chrono::milliseconds(1) && waited * 2 > worked) be_crowded();
}

bool has_team() { return runtime().complete(); }

Barrier::~Barrier() {
    // One wait in twenty outlasting the spinning means that some thread has no core of its own.
    int waits = waits_.load(std::memory_order_relaxed), yields = yields_.load(std::memory_order_relaxed);
    if (yields > 4 && yields * 20 > waits) be_crowded();
}

void Barrier::wait(int rank, int& epoch) {
    ++epoch;
    flags_[rank].reached.store(epoch, std::memory_order_release);
    int yielded = 0;
    for (int other = 0; other < size_; other++) {
        int spins = 0;
        while (flags_[other].reached.load(std::memory_order_acquire) < epoch) {
            if (++spins < kSpins) {
                pause();
            } else {
                sched_yield();
                yielded = 1;
            }
        }
    }
    if (rank == 0) {
        waits_.fetch_add(1, std::memory_order_relaxed);
        if (yielded) yields_.fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace seqloom
