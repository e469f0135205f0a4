#include "team.h"

#include <dlfcn.h>
#include <sched.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace seqloom {
namespace {

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
};
void enter(void* argument) {
    const Call& call = *static_cast<Call*>(argument);
    call.work(call.data, runtime().rank(), runtime().size());
}

// A thread that waits first spins (a step's stage takes microseconds), then lets others run.
constexpr int kSpins = 4000;
std::atomic<int> crowded_calls{0};

inline void pause() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

}  // namespace

void run_team(int threads, void (*work)(void*, int, int), void* data) {
    if (threads <= 1 || !runtime().complete()) return work(data, 0, 1);
    Call call{work, data};
    runtime().parallel(enter, &call, static_cast<unsigned>(threads), 0);
}

bool has_team() { return runtime().complete(); }

bool crowded() {
    int left = crowded_calls.load(std::memory_order_relaxed);
    if (left <= 0) return false;
    crowded_calls.store(left - 1, std::memory_order_relaxed);
    return true;
}

Barrier::~Barrier() {
    // One wait in twenty outlasting the spinning means that some thread has no core of its own.
    int waits = waits_.load(std::memory_order_relaxed), yields = yields_.load(std::memory_order_relaxed);
    if (yields > 4 && yields * 20 > waits) crowded_calls.store(32, std::memory_order_relaxed);
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
